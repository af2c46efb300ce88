//! Placement 80: the rolling table over T, available, U and G.

use super::*;

/// Copies from a picture, one letter each: `o` old and available, `n` new and available, lower case with a preceding
/// `!` unavailable, `+` to be added, `-` to go and available, `=` to go and unavailable, `d` being deleted, `x` old,
/// available, apply failed, `w` to go but awaited.
fn copies(picture: &str) -> Vec<Copy<usize>> {
    let mut out = Vec::new();
    let mut broken = false;
    for letter in picture.chars() {
        if letter == '!' {
            broken = true;
            continue;
        }
        let base =
            Copy { member: out.len(), present: true, available: !broken, wanted: true, ..Copy::default() };
        out.push(match letter {
            'o' => base,
            'n' => Copy { updated: true, ..base },
            'x' => Copy { failed: true, ..base },
            '+' => Copy { present: false, available: false, ..base },
            '-' => Copy { wanted: false, ..base },
            'w' => Copy { wanted: false, awaited: true, ..base },
            '=' => Copy { wanted: false, available: false, ..base },
            'd' => Copy { deleting: true, ..base },
            other => panic!("{other}"),
        });
        broken = false;
    }
    out
}

fn case(picture: &str, u: Amount, g: Amount) -> (usize, usize, usize) {
    let moves = moves(&copies(picture), Budget { max_unavailable: u, max_surge: g });
    (moves.update.len(), moves.add.len(), moves.remove.len())
}

#[test]
fn placement_80_rolling_table() {
    use Amount::{Number, Percent};
    let quarter = Percent(25);
    // Picture, U, G, then how many are updated, added, removed.
    for (picture, u, g, want) in [
        ("oooo", quarter, quarter, (1, 0, 0)),
        ("ooooo", quarter, quarter, (2, 0, 0)), // 25 % of 5 rounds up
        ("oooo", Percent(100), quarter, (4, 0, 0)),
        ("oooo", Number(0), Number(1), (0, 0, 0)),
        ("n!noo", Number(1), quarter, (0, 0, 0)), // one is unavailable already: the budget is used
        ("nnoo", Number(1), quarter, (1, 0, 0)),
        ("o!o!oo", Number(1), quarter, (2, 0, 0)), // unavailable ones always, available ones not
        ("!o!o!o!o", Number(1), quarter, (4, 0, 0)),
        ("xxoo", Number(1), quarter, (3, 0, 0)), // failed applies are mended outside the budget
        ("nnnn", quarter, quarter, (0, 0, 0)),
        ("++++", quarter, quarter, (0, 4, 0)), // all present are fewer than T + G
        ("nn++--", quarter, Number(1), (0, 1, 1)),
        ("nn++--", quarter, Number(0), (0, 0, 1)),
        ("nnnn--", quarter, quarter, (0, 0, 2)),
        ("---", quarter, quarter, (0, 0, 3)), // shrink to nothing
        ("===", quarter, quarter, (0, 0, 3)), // shrink to nothing, all unready
        ("n!n--", Number(0), quarter, (0, 0, 1)),
        ("!n!n--", Number(0), quarter, (0, 0, 0)), // the old ones stay until something new runs
        ("nnw", quarter, quarter, (0, 0, 0)),      // make before break
        ("nnd", quarter, quarter, (0, 0, 0)),      // picked again while being deleted: waits
        ("ood", Number(1), quarter, (0, 0, 0)),
        ("", quarter, quarter, (0, 0, 0)),
    ] {
        assert_eq!(case(picture, u, g), want, "{picture:?} U={u:?} G={g:?}");
    }
}

/// Whatever the mixture, carrying the moves out never leaves fewer available than T − U, unless it was so before.
#[test]
fn placement_80_never_below_the_budget() {
    let letters = ["o", "n", "!o", "!n", "-", "=", "+"];
    for seed in 0..7_usize.pow(5) {
        let picture: String = (0..5_u32).map(|i| letters[seed / 7_usize.pow(i) % 7]).collect();
        let list = copies(&picture);
        let budget = Budget { max_unavailable: Amount::Number(1), max_surge: Amount::Number(1) };
        let moves = moves(&list, budget);
        let total = list.iter().filter(|c| c.wanted).count();
        let before = list.iter().filter(|c| c.available).count();
        let touched = |c: &&Copy<usize>| moves.update.contains(&c.member) || moves.remove.contains(&c.member);
        let after = before - list.iter().filter(|c| c.available).filter(touched).count();
        assert!(after >= total.saturating_sub(1).min(before), "{picture}: {moves:?}");
        assert!(
            list.iter().filter(|c| c.present).count() + moves.add.len() <= (total + 1).max(5),
            "{picture}"
        );
    }
}
