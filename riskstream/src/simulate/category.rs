//! Kinds of merchants: what is bought there, for how much, and when.

/// A kind of merchant.
#[derive(Debug)]
pub(super) struct Category {
    /// Its name in the output.
    pub(super) name: &'static str,
    /// Share of terminals that belong to it.
    pub(super) share: f64,
    /// How often one of its terminals is visited, against others.
    pub(super) visits: f64,
    /// Median amount in euros for a customer of ordinary means.
    pub(super) median: f64,
    /// Deviation of the amount's logarithm.
    pub(super) sigma: f64,
    /// How much a customer's means move the amount: 0 not at all, 1 in proportion.
    pub(super) means: f64,
    /// Whether it sells over the internet alone.
    pub(super) online: bool,
    /// When it is visited: hour, spread in hours, share.
    pub(super) hours: &'static [(f64, f64, f64)],
}

/// All kinds.
pub(super) const CATEGORIES: [Category; 13] = [
    shop(
        "groceries",
        0.17,
        3.0,
        27.0,
        0.55,
        0.6,
        &[(10.5, 2.0, 0.4), (18.0, 1.6, 0.6)],
    ),
    shop(
        "bakery",
        0.08,
        2.6,
        6.5,
        0.45,
        0.3,
        &[(8.0, 1.2, 0.7), (15.5, 1.5, 0.3)],
    ),
    shop(
        "restaurant",
        0.15,
        1.3,
        31.0,
        0.55,
        0.8,
        &[(12.7, 0.8, 0.4), (20.0, 1.3, 0.6)],
    ),
    shop(
        "fuel",
        0.07,
        1.4,
        52.0,
        0.4,
        0.2,
        &[(8.0, 1.8, 0.4), (17.5, 2.2, 0.6)],
    ),
    shop(
        "transport",
        0.05,
        2.2,
        8.0,
        0.6,
        0.2,
        &[(7.8, 1.0, 0.5), (17.6, 1.4, 0.5)],
    ),
    shop(
        "pharmacy",
        0.06,
        0.9,
        17.0,
        0.6,
        0.4,
        &[(11.0, 2.5, 0.6), (17.0, 1.5, 0.4)],
    ),
    shop("clothing", 0.10, 0.6, 58.0, 0.6, 0.9, &[(15.5, 2.5, 1.0)]),
    shop("household", 0.08, 0.5, 64.0, 0.75, 0.8, &[(14.5, 2.8, 1.0)]),
    shop("electronics", 0.04, 0.4, 145.0, 0.75, 0.8, &[(16.0, 2.4, 1.0)]),
    shop("leisure", 0.07, 0.8, 24.0, 0.6, 0.6, &[(19.0, 2.2, 1.0)]),
    web(
        "web shop",
        0.07,
        1.6,
        41.0,
        0.7,
        0.8,
        &[(13.0, 2.5, 0.3), (20.8, 2.0, 0.7)],
    ),
    web("digital goods", 0.03, 1.5, 7.5, 0.75, 0.2, &[(21.0, 3.5, 1.0)]),
    web("travel", 0.03, 0.35, 175.0, 0.75, 1.0, &[(20.0, 2.5, 1.0)]),
];

type Hours = &'static [(f64, f64, f64)];

const fn shop(
    name: &'static str,
    share: f64,
    visits: f64,
    median: f64,
    sigma: f64,
    means: f64,
    hours: Hours,
) -> Category {
    Category {
        name,
        share,
        visits,
        median,
        sigma,
        means,
        online: false,
        hours,
    }
}

const fn web(
    name: &'static str,
    share: f64,
    visits: f64,
    median: f64,
    sigma: f64,
    means: f64,
    hours: Hours,
) -> Category {
    // Web shops are few, and each serves every town.
    Category {
        name,
        share,
        visits,
        median,
        sigma,
        means,
        online: true,
        hours,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole() {
        let total: f64 = CATEGORIES.iter().map(|c| c.share).sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
        for category in &CATEGORIES {
            let hours: f64 = category.hours.iter().map(|h| h.2).sum();
            assert!((hours - 1.0).abs() < 1e-9, "{}", category.name);
        }
    }
}
