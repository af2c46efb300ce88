//! Field paths into a schema: of selectable fields and of rules.

use super::node::Node;

/// Follows `.spec.color` or, with `brackets`, `.spec['co.lor']` from `schema`. Returns the steps and the node.
pub fn find<'n>(path: &str, schema: &'n Node, brackets: bool) -> Result<(Vec<String>, &'n Node), String> {
    let mut steps = Vec::new();
    let mut node = schema;
    let mut rest = path;
    while let Some(c) = rest.chars().next() {
        let name = match c {
            '.' => {
                rest = &rest[1..];
                if rest.is_empty() {
                    return Err("unexpected end of JSON path".into());
                }
                let end = if rest.starts_with(['.', '[', ']']) {
                    1
                } else {
                    rest.find(['.', '[', ']']).unwrap_or(rest.len())
                };
                let name = rest[..end].to_owned();
                rest = &rest[end..];
                name
            }
            '[' if !brackets => return Err("array notation is not allowed".into()),
            '[' => {
                let (name, after) = quoted(&rest[1..])?;
                rest = after;
                name
            }
            _ => {
                let end = rest.find(['.', '[', ']']).filter(|end| *end > 0).unwrap_or(rest.len());
                return Err(format!("expected [ or . but got: {}", &rest[..end]));
            }
        };
        node = step(node, &name).ok_or("does not refer to a valid field")?;
        steps.push(name);
    }
    Ok((steps, node))
}

fn step<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    if node.properties.is_empty() { node.additional_schema() } else { node.property(name) }
}

/// `'name']`, read.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let end = text.find(']').ok_or("unexpected end of JSON path")?;
    let inner = text[..end].strip_prefix('\'').and_then(|t| t.strip_suffix('\''));
    let inner = inner.ok_or_else(|| format!("expected single quoted string but got {}", &text[..end]))?;
    Ok((inner.replace("\\'", "'").replace("\\\\", "\\"), &text[end + 1..]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_nodes() {
        let schema = Node::parse(&json!({"type": "object", "properties": {
            "spec": {"type": "object", "properties": {"color": {"type": "string"}}},
            "map": {"type": "object", "additionalProperties": {"type": "integer"}}}}));
        let found = |path: &str, brackets| find(path, &schema, brackets).map(|(_, node)| node.ty.to_string());
        assert_eq!(found(".spec.color", false), Ok("string".into()));
        assert_eq!(found(".map.x", false), Ok("integer".into()));
        assert_eq!(found("['spec'].color", true), Ok("string".into()));
        let refused = [
            (".spec.size", "does not refer to a valid field"),
            (".spec['color']", "array notation is not allowed"),
            ("spec.color", "expected [ or . but got: spec"),
            (".", "unexpected end of JSON path"),
        ];
        for (path, why) in refused {
            assert_eq!(found(path, false), Err(why.into()), "{path}");
        }
    }
}
