//! "did you mean": the known key nearest to a mistyped one.

/// What to say about a name that is none of the known ones.
pub(super) fn remedy(name: &str, known: &[&str]) -> Option<String> {
    let distance = |candidate: &&&str| edits(name, candidate);
    let nearest = known.iter().min_by_key(distance);
    match nearest {
        Some(candidate) if edits(name, candidate) <= 1 + name.chars().count() / 4 => {
            Some(format!("did you mean `{candidate}`?"))
        }
        Some(_) => Some(format!("known here: {}", known.join(", "))),
        None => None,
    }
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one name into the other.
///
/// # Source
/// Optimal string alignment, the restricted form of the Damerau–Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let replaced = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(before_last[j - 2] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_edits_and_swaps() {
        assert_eq!(edits("kafka", "kafka"), 0);
        assert_eq!(edits("kakfa", "kafka"), 1);
        assert_eq!(edits("", "ab"), 2);
        assert_eq!(edits("window", "widow_secs"), 6);
    }

    #[test]
    fn names_the_nearest_or_all() {
        let known = ["bootstrap_servers", "properties"];
        let near = remedy("bootstap_servers", &known);
        assert_eq!(near.as_deref(), Some("did you mean `bootstrap_servers`?"));
        assert_eq!(
            remedy("x", &known).as_deref(),
            Some("known here: bootstrap_servers, properties")
        );
        assert_eq!(remedy("x", &[]), None);
    }
}
