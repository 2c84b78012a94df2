import { guardedLookup, checkTarget, refusedAddress } from "../../../local/src/webhooks/target";

const closed = { allowHttpLoopback: false };
const open = { allowHttpLoopback: true };

describe("the address of a webhook", () => {
  test.each(["https://example.com/hook", "https://10.1.2.3/hook", "https://[2606:2800:220:1::1]:8443/x"])(
    "%s is taken",
    (url) => {
      expect(checkTarget(url, closed).href).toBe(url);
    },
  );

  test.each([
    ["/hook", "absolute URL"],
    ["https://user:secret@example.com/", "credentials"],
    ["http://example.com/", "use https"],
    ["ftp://example.com/", "use https"],
    ["https://localhost/", "this host"],
    ["https://api.localhost./", "this host"],
    ["https://127.0.0.1/", "this host"],
    ["https://2130706433/", "this host"],
    ["https://0x7f.1/", "this host"],
    ["https://[::1]/", "this host"],
    ["https://[::ffff:127.0.0.1]/", "this host"],
    ["https://0.0.0.0/", "unspecified"],
    ["https://169.254.169.254/latest", "linkLocal"],
    ["https://[fe80::1]/", "linkLocal"],
    ["https://[fd00:ec2::254]/", "metadata"],
    ["https://100.100.100.200/", "metadata"],
    ["https://168.63.129.16/", "metadata"],
    ["https://[64:ff9b::7f00:1]/", "rfc6052"],
    ["https://[2002:7f00:1::]/", "6to4"],
    ["https://224.0.0.1/", "multicast"],
    ["https://255.255.255.255/", "broadcast"],
  ])("%s is refused: %s", (url, why) => {
    let thrown: unknown;
    try {
      checkTarget(url, closed);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ code: "webhook_url_refused" });
    expect(String(thrown)).toContain(why);
  });

  test("http to loopback is taken with the flag, to nobody else", () => {
    expect(checkTarget("http://127.0.0.1:8080/x", open).port).toBe("8080");
    expect(checkTarget("http://localhost:8080/x", open).port).toBe("8080");
    expect(() => checkTarget("http://example.com/", open)).toThrow("loopback only");
    expect(() => checkTarget("http://169.254.169.254/", open)).toThrow("https");
    expect(refusedAddress("169.254.169.254", open)).toContain("linkLocal");
  });

  test("a name that leads to a refused address is refused when it is resolved", async () => {
    const { lookup } = { lookup: guardedLookup(closed) };
    const error = await new Promise((resolve) => {
      lookup("localhost", { all: true }, resolve);
    });
    expect(error).toMatchObject({ name: "TargetRefused" });
    const found = await new Promise((resolve) => {
      guardedLookup(open)("localhost", { family: 4 }, (_error, address) => {
        resolve(address);
      });
    });
    expect(found).toBe("127.0.0.1");
  });
});
