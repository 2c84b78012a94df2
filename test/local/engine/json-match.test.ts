import fc from "fast-check";
import { hasPairs } from "../../../local/src/engine/json-match";

const object = fc.dictionary(fc.string(), fc.jsonValue());
const stored = (value: Record<string, unknown>) =>
  JSON.parse(JSON.stringify(value)) as Record<string, unknown>;

test("an object has every part of itself, also after it was stored", () => {
  fc.assert(
    fc.property(object, fc.func(fc.boolean()), (whole, keep) => {
      const part = Object.fromEntries(Object.entries(whole).filter(([name]) => keep(name)));
      expect(hasPairs(stored(whole), part)).toBe(true);
    }),
  );
});

test("a pair more, or another value, is a mismatch", () => {
  fc.assert(
    fc.property(object, fc.string(), fc.jsonValue(), (whole, name, value) => {
      const has = Object.hasOwn(whole, name) && JSON.stringify(whole[name]) === JSON.stringify(value);
      fc.pre(!has && !Object.hasOwn(whole, name));
      expect(hasPairs(stored(whole), { ...whole, [name]: value })).toBe(false);
    }),
  );
});

test.each<[string, Record<string, unknown>, Record<string, unknown>, boolean]>([
  ["values as JSON, not as text", { n: 1 }, { n: "1" }, false],
  ["null is a value", { n: null }, { n: null }, true],
  ["null is not absent", {}, { n: null }, false],
  ["the order of names is nothing", { o: { a: 1, b: 2 } }, { o: { b: 2, a: 1 } }, true],
  ["the order of a list is something", { l: [1, 2] }, { l: [2, 1] }, false],
  ["a value is compared whole", { o: { a: 1, b: 2 } }, { o: { a: 1 } }, false],
  ["names of Object's own are no pairs", {}, { toString: 1 }, false],
  ["-0 is 0 in JSON", { n: 0 }, { n: -0 }, true],
])("%s", (_, whole, part, expected) => {
  expect(hasPairs(whole, part)).toBe(expected);
});
