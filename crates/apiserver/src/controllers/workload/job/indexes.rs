//! Sets of completion indexes and their text, as `1,3-5,7`.

use std::collections::BTreeSet;

/// Completion indexes.
pub type Indexes = BTreeSet<i64>;

/// Reads the text, as far as indexes lie below `completions`.
pub fn parse(text: &str, completions: i64) -> Indexes {
    let mut out = Indexes::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) {
            out.extend(first.max(0)..=last.min(completions - 1));
        }
    }
    out
}

/// Writes the text.
pub fn text(indexes: &Indexes) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for &index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
    }
    let run = |(first, last): (i64, i64)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    };
    runs.into_iter().map(run).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_set_are_the_same_thing() {
        for known in ["", "0", "0,1", "1,3-5,7", "0-9"] {
            assert_eq!(text(&parse(known, 10)), known);
        }
        assert_eq!(text(&parse("1,3-5,7", 5)), "1,3,4", "fewer completions than before");
    }
}
