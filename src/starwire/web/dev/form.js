// A form for any JSON Schema. What a form can ask for well (texts, numbers, choices, yes or no, nested objects) it
// asks for; the rest is a field for JSON. A field left empty is left out, so that the server's default holds.

import { element } from "./element.js";

/** `{fields, read}`: the elements, and a function that gives the args, or throws an Error for people to read. */
export function formOf(schema) {
  const definitions = schema?.$defs ?? {};
  return objectFields(resolve(schema ?? {}, definitions), definitions);
}

function resolve(schema, definitions) {
  const name = schema.$ref?.replace("#/$defs/", "");
  return name === undefined ? schema : { ...resolve(definitions[name] ?? {}, definitions), ...without(schema, "$ref") };
}

function without(object, key) {
  const { [key]: _, ...rest } = object;
  return rest;
}

function objectFields(schema, definitions) {
  const required = new Set(schema.required ?? []);
  const fields = Object.entries(schema.properties ?? {}).map(([name, property]) => ({
    name,
    ...field(name, property, required.has(name), definitions),
  }));
  return {
    fields: fields.map(({ row }) => row),
    read() {
      const args = {};
      for (const { name, read } of fields) {
        const value = read();
        if (value !== undefined) args[name] = value;
      }
      return args;
    },
  };
}

function field(name, property, required, definitions) {
  const schema = simple(resolve(property, definitions), definitions);
  if (schema.type === "object" && schema.properties) return nested(name, schema, required, definitions);
  const { input, read } = control(schema, name);
  if (required) input.required = true;
  if ("default" in schema && schema.default !== null) {
    const usual = typeof schema.default === "string" ? schema.default : JSON.stringify(schema.default);
    if (input.options) input.options[0].textContent = `${usual} (default)`;
    else input.placeholder = usual;
  }
  const about = schema.description ? element("small", {}, schema.description) : null;
  const title = element("span", {}, name, required ? element("b", { title: "required" }, " *") : null);
  return {
    row: element("label", {}, title, input, about),
    read() {
      try {
        return read();
      } catch (error) {
        throw new Error(`${name}: ${error.message}`);
      }
    },
  };
}

/** `X | null` is an optional X; a literal of one value is a choice of one. */
function simple(schema, definitions) {
  const some = (schema.anyOf ?? schema.oneOf)?.map((option) => resolve(option, definitions));
  if (some === undefined) return schema;
  const real = some.filter(({ type, ...option }) => type !== "null" && option.const !== null);
  const rest = without(without(schema, "anyOf"), "oneOf");
  return real.length === 1 ? { ...real[0], ...rest } : rest;
}

function nested(name, schema, required, definitions) {
  const inner = objectFields(schema, definitions);
  return {
    row: element("fieldset", {}, element("legend", {}, name), ...inner.fields),
    read() {
      const value = inner.read();
      return Object.keys(value).length === 0 && !required ? undefined : value;
    },
  };
}

function control(schema, name) {
  const choices = schema.enum ?? ("const" in schema ? [schema.const] : null);
  if (choices !== null) return choice(choices);
  if (schema.type === "boolean") return choice([true, false]);
  if (schema.type === "integer" || schema.type === "number") return number(schema);
  if (schema.type === "string") return text(schema, name);
  return json(schema);
}

function choice(values) {
  const options = values.map((value, index) => element("option", { value: index }, String(value)));
  const input = element("select", {}, element("option", { value: "" }, "–"), ...options);
  return { input, read: () => (input.value === "" ? undefined : values[Number(input.value)]) };
}

function number(schema) {
  const input = element("input", {
    type: "number",
    inputmode: schema.type === "integer" ? "numeric" : "decimal",
    step: schema.type === "integer" ? 1 : "any",
    min: schema.minimum,
    max: schema.maximum,
  });
  return { input, read: () => (input.value === "" ? undefined : Number(input.value)) };
}

function text(schema, name) {
  const input = element("input", {
    type: /password|secret|token/.test(name) ? "password" : "text",
    maxlength: schema.maxLength,
    autocomplete: "off",
    spellcheck: "false",
    title: schema.format,
  });
  return { input, read: () => (input.value === "" ? undefined : input.value) };
}

function json(schema) {
  const shape = schema.type === "array" ? "[…]" : schema.type === "object" ? "{…}" : "JSON";
  const input = element("textarea", { rows: 2, spellcheck: "false", placeholder: shape });
  return { input, read: () => (input.value.trim() === "" ? undefined : JSON.parse(input.value)) };
}
