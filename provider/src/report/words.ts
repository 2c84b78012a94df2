/** Sentences that keep our words and the values of others apart, so that whoever prints them can escape the values. Pure. */
export interface Words {
  /** One more than values: what stands before, between and after them. */
  parts: readonly string[];
  values: readonly string[];
}

/** say`create from the snapshot ${id}` */
export const say = (parts: TemplateStringsArray, ...values: string[]): Words => ({ parts, values });

/** The sentence as it is. */
export const plain = ({ parts, values }: Words): string =>
  parts.map((part, index) => part + (values[index] ?? "")).join("");

/** @param print Makes a value fit to be printed. */
export const printed = ({ parts, values }: Words, print: (value: string) => string): string =>
  parts.map((part, index) => part + (index < values.length ? print(values[index] as string) : "")).join("");
