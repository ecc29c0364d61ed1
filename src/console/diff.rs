//! What differs between two documents, path by path.

use std::collections::BTreeMap;

use serde_json::Value;

#[derive(Debug, PartialEq, Eq)]
pub struct Change {
    pub path: String,
    /// `None`: it was not there.
    pub before: Option<String>,
    /// `None`: it is gone.
    pub after: Option<String>,
}

/// The differences, without the fields that change with every fact.
pub fn changes(before: &Value, after: &Value) -> Vec<Change> {
    let (mut old, mut new) = (BTreeMap::new(), BTreeMap::new());
    flatten("", before, &mut old);
    flatten("", after, &mut new);
    let mut paths: Vec<&String> = old.keys().chain(new.keys()).collect();
    paths.sort();
    paths.dedup();
    paths
        .into_iter()
        .filter(|path| !matches!(path.as_str(), "seq" | "updated_at"))
        .filter(|path| old.get(*path) != new.get(*path))
        .map(|path| Change { path: path.clone(), before: old.get(path).cloned(), after: new.get(path).cloned() })
        .collect()
}

fn flatten(path: &str, value: &Value, out: &mut BTreeMap<String, String>) {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&below(key), value, out)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(n, value)| flatten(&below(&n.to_string()), value, out));
        }
        Value::Null => {}
        Value::String(text) => drop(out.insert(path.to_owned(), text.clone())),
        other => drop(out.insert(path.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_told() {
        let before = json!({"seq": 1, "state": "a", "x": {"y": 1, "z": null}, "list": [1]});
        let after = json!({"seq": 2, "state": "b", "x": {"y": 1, "z": true}, "list": []});
        let change = |path: &str, before: Option<&str>, after: Option<&str>| Change {
            path: path.to_owned(),
            before: before.map(str::to_owned),
            after: after.map(str::to_owned),
        };
        assert_eq!(
            changes(&before, &after),
            [
                change("list.0", Some("1"), None),
                change("state", Some("a"), Some("b")),
                change("x.z", None, Some("true"))
            ]
        );
    }
}
