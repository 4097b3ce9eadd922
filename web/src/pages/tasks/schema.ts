// From the JSON schema of a task's parameters to the fields of a form, and from what was typed back to values. Pure.
import type { JsonSchema } from "../../api/types";

export type FieldKind = "text" | "number" | "integer" | "check" | "choice" | "list" | "json";

export interface Field {
  /** Of what stands inside another: strategy.mode. */
  name: string;
  kind: FieldKind;
  about: string;
  required: boolean;
  choices: string[];
  /** Of a list: whether its members are numbers. */
  numbers: boolean;
  first: string;
  minimum?: number | undefined;
  maximum?: number | undefined;
}

export type Typed = Record<string, string>;

export function fields(schema: JsonSchema): Field[] {
  return inside(schema, schema, "");
}

function inside(part: JsonSchema, schema: JsonSchema, prefix: string): Field[] {
  return Object.entries(part.properties ?? {}).flatMap(([own, given]) => {
    const name = `${prefix}${own}`;
    const one = plain(given, schema);
    if (one.properties) return inside(one, schema, `${name}.`);
    const kind = kindOf(one);
    return {
      name,
      kind,
      about: given.description ?? one.description ?? given.title ?? "",
      required: part.required?.includes(own) ?? false,
      choices: (one.enum ?? []).map(String),
      numbers: kind === "list" && ["number", "integer"].includes(String(plain(one.items ?? {}, schema).type)),
      first: shown(given.default ?? one.default, kind),
      minimum: one.minimum ?? one.exclusiveMinimum,
      maximum: one.maximum ?? one.exclusiveMaximum,
    };
  });
}

/** Without references, and without the null that makes a field optional. */
function plain(schema: JsonSchema, whole: JsonSchema): JsonSchema {
  if (schema.$ref) {
    const name = schema.$ref.split("/").pop() ?? "";
    return { ...plain(whole.$defs?.[name] ?? {}, whole), ...without(schema, "$ref") };
  }
  if (schema.allOf?.length === 1) return { ...plain(schema.allOf[0] ?? {}, whole), ...without(schema, "allOf") };
  const real = schema.anyOf?.filter((one) => one.type !== "null") ?? [];
  if (real.length === 1) return { ...plain(real[0] ?? {}, whole), ...without(schema, "anyOf") };
  return schema;
}

function without(schema: JsonSchema, name: keyof JsonSchema): JsonSchema {
  return Object.fromEntries(Object.entries(schema).filter(([key]) => key !== name));
}

function kindOf(one: JsonSchema): FieldKind {
  if (one.enum) return "choice";
  switch (one.type) {
    case "string": return "text";
    case "integer": return "integer";
    case "number": return "number";
    case "boolean": return "check";
    case "array": return ["string", "number", "integer"].includes(String(one.items?.type)) ? "list" : "json";
    default: return "json";
  }
}

function shown(value: unknown, kind: FieldKind): string {
  if (value === undefined || value === null) return kind === "check" ? "false" : "";
  if (kind === "list" && Array.isArray(value)) return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

export type Wrong = "form.required" | "tasks.number.wrong" | "tasks.json.wrong";

/** What is sent, or which fields are wrong. A field that was left empty is left out: the default is the server's. */
export function values(of: readonly Field[], typed: Typed): { parameters: Record<string, unknown>; wrong: Record<string, Wrong> } {
  const parameters: Record<string, unknown> = {};
  const wrong: Record<string, Wrong> = {};
  for (const field of of) {
    const text = (typed[field.name] ?? field.first).trim();
    if (text === "" || (field.kind === "check" && !field.required && text === field.first)) {
      if (field.required && text === "") wrong[field.name] = "form.required";
      continue;
    }
    const value = valueOf(field, text);
    if (value.wrong) wrong[field.name] = value.wrong;
    else put(parameters, field.name.split("."), value.value);
  }
  return { parameters, wrong };
}

function put(into: Record<string, unknown>, [first, ...rest]: string[], value: unknown): void {
  if (first === undefined) return;
  if (rest.length === 0) into[first] = value;
  else put((into[first] ??= {}) as Record<string, unknown>, rest, value);
}

function valueOf(field: Field, text: string): { value?: unknown; wrong?: Wrong } {
  switch (field.kind) {
    case "check": return { value: text === "true" };
    case "integer":
    case "number": return number(text, field.kind === "integer");
    case "list": {
      const parts = text.split(/[,，、\s]+/).filter(Boolean);
      if (!field.numbers) return { value: parts };
      const found = parts.map(Number);
      return found.every(Number.isFinite) ? { value: found } : { wrong: "tasks.number.wrong" };
    }
    case "json":
      try {
        return { value: JSON.parse(text) as unknown };
      } catch {
        return { wrong: "tasks.json.wrong" };
      }
    default: return { value: text };
  }
}

function number(text: string, isWhole: boolean): { value?: number; wrong?: Wrong } {
  const value = Number(text);
  return Number.isFinite(value) && (!isWhole || Number.isInteger(value)) ? { value } : { wrong: "tasks.number.wrong" };
}
