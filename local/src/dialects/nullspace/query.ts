/** Reads the query of a Nullspace request; everything that is wrong with it is told at once. */
import type { FastifyRequest } from "fastify";
import type { Violation } from "../../http-errors";
import { violation } from "../../http-violations";
import { invalid } from "./errors";

/** One value for each name, and no name that the call does not know: a filter that is ignored misleads. */
export class Query<Name extends string> {
  readonly errors: Violation[] = [];
  private readonly given: Partial<Record<Name, string>> = {};

  constructor(request: FastifyRequest, names: readonly Name[]) {
    for (const [name, value] of Object.entries(request.query as Record<string, unknown>)) {
      if (!(names as readonly string[]).includes(name)) {
        this.refuse(name, `unknown parameter; this call takes ${names.join(", ")}`);
      } else if (typeof value !== "string") this.refuse(name, "must be given once");
      else this.given[name as Name] = value;
    }
  }

  get isEmpty(): boolean {
    return this.errors.length === 0 && Object.keys(this.given).length === 0;
  }

  refuse(name: string, message: string): void {
    this.errors.push(violation(`query.${name}`, message));
  }

  text(name: Name): string | undefined {
    return this.given[name];
  }

  whole(name: Name, { min, max, absent }: { min: number; max: number; absent: number }): number {
    const text = this.given[name];
    if (text === undefined) return absent;
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (value >= min && value <= max) return value;
    this.refuse(name, `must be a whole number from ${String(min)} to ${String(max)}`);
    return absent;
  }

  oneOf<T extends string>(name: Name, values: readonly T[]): T | undefined {
    const text = this.given[name];
    if (text === undefined) return undefined;
    const found = values.find((value) => value === text);
    if (found === undefined) this.refuse(name, `must be one of ${values.join(", ")}`);
    return found;
  }

  /** Comma-separated, each of a closed set. */
  listOf<T extends string>(name: Name, values: readonly T[]): T[] | undefined {
    const text = this.given[name];
    if (text === undefined) return undefined;
    const words = text.split(",").map((word) => word.trim());
    const found = values.filter((value) => words.includes(value));
    if (words.some((word) => !values.some((value) => value === word))) {
      this.refuse(name, `must be a comma-separated list of ${values.join(", ")}`);
    }
    return found;
  }

  /** An object, as JSON text. */
  object(name: Name): Record<string, unknown> | undefined {
    const text = this.given[name];
    if (text === undefined) return undefined;
    const value = parseJson(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
    this.refuse(name, 'must be a JSON object such as {"run":"docs"}');
    return undefined;
  }

  /** @throws WireError 400 with everything that was refused */
  done(): void {
    if (this.errors.length > 0) throw invalid(this.errors);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Told by the caller, in the terms of its parameter.
    return undefined;
  }
}
