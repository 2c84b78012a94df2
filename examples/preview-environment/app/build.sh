# Stands for your build: puts the page of this pull request together.
set -eu
mkdir -p /srv/public
sed -e "s/@PULL_REQUEST@/$PULL_REQUEST/" -e "s/@COMMIT@/$COMMIT/" page.txt > /srv/public/index.txt
echo "built $(wc -c < /srv/public/index.txt) bytes"
