//! Finds one value of a JSON object without reading the rest of it. The documents are the server's own, well formed.

/// The value of a member of the outermost object, as it is written; strings without their quotes.
pub fn member<'a>(json: &'a [u8], name: &str) -> Option<&'a str> {
    let (mut at, mut depth) = (0, 0_u32);
    while at < json.len() {
        match json[at] {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b'"' => {
                let end = string_end(json, at)?;
                let key = &json[at + 1..end];
                at = end;
                if depth == 1 && key == name.as_bytes() {
                    let colon = skip_blanks(json, end + 1);
                    if json.get(colon) == Some(&b':') {
                        return scalar(json, skip_blanks(json, colon + 1));
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

fn scalar(json: &[u8], at: usize) -> Option<&str> {
    let range = if *json.get(at)? == b'"' {
        at + 1..string_end(json, at)?
    } else {
        let rest = &json[at..];
        at..at + rest.iter().position(|b| b",}] \r\n\t".contains(b)).unwrap_or(rest.len())
    };
    std::str::from_utf8(&json[range]).ok()
}

/// The closing quote of the string that opens at `at`.
fn string_end(json: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += 1;
        match json.get(at)? {
            b'"' => return Some(at),
            b'\\' => at += 1,
            _ => {}
        }
    }
}

fn skip_blanks(json: &[u8], mut at: usize) -> usize {
    while json.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_outermost_object_counts() {
        let json = br#"{"a":[{"state":"x"}],"shipping":{"state":"dispatched","terminal":true},
            "note":"\"state\":\"no\"","state" : "completed","terminal":false}"#;
        assert_eq!(member(json, "state"), Some("completed"));
        assert_eq!(member(json, "terminal"), Some("false"));
        assert_eq!(member(json, "nothing"), None);
    }

    #[test]
    fn a_value_is_not_taken_for_a_name() {
        assert_eq!(member(br#"{"a":"state","state":"failed"}"#, "state"), Some("failed"));
    }

    #[test]
    fn what_is_cut_off_gives_nothing() {
        for json in [r#"{"state"#, r#"{"state":"#, r#"{"state":"com"#, "", "}}", r#"{"a":"\"#] {
            assert_eq!(member(json.as_bytes(), "state"), None, "{json}");
        }
    }
}
