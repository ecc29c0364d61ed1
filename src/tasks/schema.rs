//! Checking parameters against the JSON Schema that was made from their Rust type: every fault, each with its place.
//!
//! It knows what the library that makes the schemas writes, and no more: a full validator would bring forty crates. A
//! schema that says more is found when the type is registered. Messages never repeat a value, for it may be a secret.

use serde_json::{Map, Value};

/// One thing that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFault {
    /// A JSON Pointer into the parameters.
    pub pointer: String,
    pub message: String,
}

/// So many faults are told.
const FAULTS_MAX: usize = 100;
/// How deep a schema may refer to itself.
const DEPTH_MAX: usize = 64;

/// What says something about a value, and is checked.
const CHECKED: [&str; 23] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "oneOf",
    "prefixItems",
    "properties",
    "required",
    "type",
    "uniqueItems",
];
/// What is there for people only. `format` is a hint, as JSON Schema says.
const HINTS: [&str; 11] = [
    "$defs",
    "$schema",
    "$comment",
    "default",
    "deprecated",
    "description",
    "examples",
    "format",
    "readOnly",
    "title",
    "writeOnly",
];

/// The schema of a type. Fields it does not name are refused, unless it says otherwise.
pub fn of(schema: schemars::Schema) -> Value {
    let mut schema = schema.to_value();
    if let Some(fields) = schema.as_object_mut()
        && fields.get("type").is_some_and(|kind| kind == "object")
    {
        fields.entry("additionalProperties").or_insert(Value::Bool(false));
    }
    schema
}

/// A keyword of the schema that is not checked.
pub fn unknown_keyword(schema: &Value) -> Option<String> {
    let schema = schema.as_object()?;
    for (keyword, value) in schema {
        let inner: Vec<&Value> = match keyword.as_str() {
            "properties" | "$defs" => value.as_object().into_iter().flat_map(Map::values).collect(),
            "items" | "additionalProperties" => vec![value],
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => value.as_array().into_iter().flatten().collect(),
            known if CHECKED.contains(&known) || HINTS.contains(&known) => Vec::new(),
            unknown => return Some(unknown.to_owned()),
        };
        if let Some(unknown) = inner.into_iter().find_map(unknown_keyword) {
            return Some(unknown);
        }
    }
    None
}

/// Every fault of a value.
pub fn faults(schema: &Value, value: &Value) -> Vec<SchemaFault> {
    let mut check = Check { root: schema, at: String::new(), depth: 0, faults: Vec::new() };
    check.value(schema, value);
    check.faults
}

struct Check<'a> {
    root: &'a Value,
    at: String,
    depth: usize,
    faults: Vec<SchemaFault>,
}

impl<'a> Check<'a> {
    fn fault(&mut self, message: impl Into<String>) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(SchemaFault { pointer: self.at.clone(), message: message.into() });
        }
    }

    fn within(&mut self, token: &str, check: impl FnOnce(&mut Self)) {
        let length = self.at.len();
        self.at.push('/');
        self.at.push_str(&token.chars().take(128).collect::<String>().replace('~', "~0").replace('/', "~1"));
        check(self);
        self.at.truncate(length);
    }

    /// Whether it fits, without a word.
    fn fits(&self, schema: &'a Value, value: &Value) -> bool {
        let mut check = Check { root: self.root, at: String::new(), depth: self.depth, faults: Vec::new() };
        check.value(schema, value);
        check.faults.is_empty()
    }

    fn value(&mut self, schema: &'a Value, value: &Value) {
        let schema = match schema {
            Value::Bool(true) => return,
            Value::Bool(false) => return self.fault("must not be given"),
            Value::Object(schema) => schema,
            _ => return,
        };
        if self.depth >= DEPTH_MAX {
            return self.fault("is nested too deep");
        }
        self.depth += 1;
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            match target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer)) {
                Some(target) => self.value(target, value),
                None => self.fault("cannot be checked"),
            }
        }
        if self.kind(schema, value) {
            self.choices(schema, value);
            match value {
                Value::String(text) => self.size(schema, "Length", "characters", text.chars().count()),
                Value::Number(_) => self.number(schema, value),
                Value::Array(list) => self.list(schema, list),
                Value::Object(fields) => self.object(schema, fields),
                Value::Null | Value::Bool(_) => {}
            }
        }
        self.depth -= 1;
    }

    /// The type; what is of another one is not looked at further.
    fn kind(&mut self, schema: &Map<String, Value>, value: &Value) -> bool {
        let names: Vec<&str> = match schema.get("type") {
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        if names.iter().any(|name| is_of(name, value)) {
            return true;
        }
        let wanted: Vec<&str> = names.iter().map(|name| words(name)).collect();
        self.fault(format!("must be {}, is {}", wanted.join(" or "), words(name_of(value))));
        false
    }

    fn choices(&mut self, schema: &'a Map<String, Value>, value: &Value) {
        if schema.get("const").is_some_and(|only| only != value) {
            self.fault(format!("must be {}", schema["const"]));
        }
        if let Some(Value::Array(all)) = schema.get("enum")
            && !all.contains(value)
        {
            self.fault(format!("must be one of {}", listed(all.iter())));
        }
        for part in alternatives(schema, "allOf") {
            self.value(part, value);
        }
        for (keyword, only_one) in [("anyOf", false), ("oneOf", true)] {
            if !schema.contains_key(keyword) {
                continue;
            }
            let all: Vec<&'a Value> = alternatives(schema, keyword).collect();
            let fitting = all.iter().filter(|part| self.fits(part, value)).count();
            if fitting == 1 || (fitting > 1 && !only_one) {
                continue;
            }
            // Of "this or nothing", what is wrong with this is told; of constants, which there are.
            let telling: Vec<&&'a Value> =
                all.iter().filter(|part| part.get("type").is_none_or(|t| t != "null")).collect();
            match telling.as_slice() {
                [one] if fitting == 0 => self.value(one, value),
                several if several.iter().all(|part| part.get("const").is_some()) => {
                    let constants = several.iter().filter_map(|part| part.get("const"));
                    self.fault(format!("must be one of {}", listed(constants)));
                }
                _ => self.fault("does not have one of the forms it may have"),
            }
        }
    }

    fn size(&mut self, schema: &Map<String, Value>, what: &str, of: &str, size: usize) {
        let limit = |name: String| schema.get(&name).and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
        if let Some(least) = limit(format!("min{what}")).filter(|least| size < *least) {
            self.fault(format!("must have at least {least} {of}, has {size}"));
        }
        if let Some(most) = limit(format!("max{what}")).filter(|most| size > *most) {
            self.fault(format!("must have at most {most} {of}, has {size}"));
        }
    }

    fn number(&mut self, schema: &Map<String, Value>, value: &Value) {
        type Fits = fn(std::cmp::Ordering) -> bool;
        let bounds: [(&str, &str, Fits); 4] = [
            ("minimum", "at least", std::cmp::Ordering::is_ge),
            ("maximum", "at most", std::cmp::Ordering::is_le),
            ("exclusiveMinimum", "more than", std::cmp::Ordering::is_gt),
            ("exclusiveMaximum", "less than", std::cmp::Ordering::is_lt),
        ];
        for (keyword, words, fits) in bounds {
            if let Some(bound) = schema.get(keyword)
                && compare(value, bound).is_some_and(|order| !fits(order))
            {
                self.fault(format!("must be {words} {bound}"));
            }
        }
    }

    fn list(&mut self, schema: &'a Map<String, Value>, list: &[Value]) {
        self.size(schema, "Items", "items", list.len());
        let first: Vec<&'a Value> = alternatives(schema, "prefixItems").collect();
        for (index, item) in list.iter().enumerate() {
            if let Some(schema) = first.get(index).copied().or(schema.get("items")) {
                self.within(&index.to_string(), |check| check.value(schema, item));
            }
        }
        if schema.get("uniqueItems").is_some_and(|yes| yes == true) {
            let mut seen = std::collections::HashSet::new();
            if !list.iter().all(|item| seen.insert(item.to_string())) {
                self.fault("must not have an item twice");
            }
        }
    }

    fn object(&mut self, schema: &'a Map<String, Value>, fields: &Map<String, Value>) {
        self.size(schema, "Properties", "fields", fields.len());
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.within(name, |check| check.fault("is missing"));
            }
        }
        let known = schema.get("properties").and_then(Value::as_object);
        for (name, item) in fields {
            match known.and_then(|known| known.get(name)).or(schema.get("additionalProperties")) {
                Some(Value::Bool(false)) => self.within(name, |check| check.fault("is not a field that is known here")),
                Some(schema) => self.within(name, |check| check.value(schema, item)),
                None => {}
            }
        }
    }
}

fn alternatives<'a>(schema: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = &'a Value> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn listed<'v>(values: impl Iterator<Item = &'v Value>) -> String {
    values.map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// Exact for integers of 64 bits; otherwise as floats.
fn compare(a: &Value, b: &Value) -> Option<std::cmp::Ordering> {
    match (a.as_i64(), b.as_i64(), a.as_u64(), b.as_u64()) {
        (Some(a), Some(b), _, _) => Some(a.cmp(&b)),
        (_, _, Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|n| n.fract() == 0.0),
        name => name == name_of(value),
    }
}

fn words(name: &str) -> &str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
