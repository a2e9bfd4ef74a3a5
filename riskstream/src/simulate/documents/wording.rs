//! What is written on documents.

/// Names of merchants and people.
pub(super) const NAMES: [&str; 32] = [
    "ADLER", "BAUER", "BECKER", "BRANDT", "BUSCH", "DIETZ", "EBERT", "FALK", "FISCHER", "FRANKE", "GRAF",
    "HAHN", "HUBER", "JANSEN", "KELLER", "KRAUSE", "KUHN", "LANG", "LORENZ", "MAIER", "MOHR", "NEUMANN",
    "OTTO", "PETERS", "RIEDEL", "ROTH", "SCHOLZ", "SEIDEL", "STEIN", "VOGT", "WEBER", "ZIMMER",
];

/// Streets that merchants stand in.
pub(super) const STREETS: [&str; 12] = [
    "MAIN ST",
    "MILL LANE",
    "STATION RD",
    "MARKET SQ",
    "CHURCH ST",
    "BRIDGE ST",
    "GARDEN WAY",
    "PARK AVE",
    "RIVER RD",
    "SCHOOL LN",
    "HIGH ST",
    "WEST END",
];

/// Banks that cheques are drawn on.
pub(super) const BANKS: [&str; 8] = [
    "CITY SAVINGS BANK",
    "NORTH TRUST",
    "UNION BANK",
    "PEOPLES BANK",
    "MERCHANTS BANK",
    "RIVER VALLEY BANK",
    "FIRST COOPERATIVE",
    "HARBOUR BANK",
];

/// What closes a receipt.
pub(super) const THANKS: [&str; 6] = [
    "THANK YOU",
    "COME AGAIN",
    "HAVE A NICE DAY",
    "SEE YOU SOON",
    "NO REFUNDS",
    "KEEP FOR RETURN",
];

/// What a kind of merchant is called on its receipts, and what it sells.
pub(super) fn trade(category: &str) -> (&'static str, &'static [&'static str]) {
    match category {
        "groceries" => (
            "MARKET",
            &[
                "MILK", "BREAD", "BUTTER", "APPLES", "CHEESE", "RICE", "COFFEE", "EGGS", "YOGHURT", "PASTA",
            ],
        ),
        "bakery" => (
            "BAKERY",
            &["ROLL", "RYE BREAD", "CROISSANT", "PRETZEL", "CAKE", "COFFEE"],
        ),
        "restaurant" => (
            "GRILL",
            &[
                "SOUP", "SALAD", "STEAK", "PIZZA", "WATER", "WINE", "ESPRESSO", "DESSERT",
            ],
        ),
        "fuel" => ("FUEL", &["DIESEL", "SUPER E10", "OIL", "CAR WASH", "SNACK"]),
        "transport" => ("TRANSIT", &["DAY TICKET", "SINGLE", "RETURN", "BIKE", "ZONE B"]),
        "pharmacy" => (
            "PHARMACY",
            &["PLASTERS", "ASPIRIN", "SYRUP", "VITAMINS", "CREAM", "TEA"],
        ),
        "clothing" => ("FASHION", &["SHIRT", "JEANS", "SOCKS", "JACKET", "SCARF", "BELT"]),
        "household" => (
            "HOME",
            &["LAMP", "TOWELS", "PAINT", "SCREWS", "CHAIR", "VASE", "SHELF"],
        ),
        "electronics" => (
            "ELECTRO",
            &["CABLE", "HEADSET", "MOUSE", "CHARGER", "TABLET", "CAMERA"],
        ),
        "leisure" => ("LEISURE", &["TICKET", "POPCORN", "DRINK", "LOCKER", "COURT"]),
        "travel" => ("TRAVEL", &["FLIGHT", "HOTEL", "TRAIN", "RENTAL", "TAX"]),
        "digital goods" => ("DIGITAL", &["GAME", "MUSIC", "E-BOOK", "FILM", "CREDIT"]),
        _ => ("SHOP", &["BOOK", "TOY", "SHOES", "MUG", "POSTER", "SHIPPING"]),
    }
}

/// An amount in figures.
pub(super) fn figures(amount_minor: i64) -> String {
    format!("{}.{:02}", amount_minor / 100, amount_minor % 100)
}

/// An amount in words, as cheques have it.
pub(super) fn words(amount_minor: i64) -> String {
    let whole = usize::try_from(amount_minor / 100).unwrap_or(0);
    format!("{} and {:02}/100", number(whole), amount_minor % 100)
}

fn number(n: usize) -> String {
    const SMALL: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 10] = [
        "", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety",
    ];
    let with_rest = |head: String, rest: usize, joint: &str| match rest {
        0 => head,
        rest => format!("{head}{joint}{}", number(rest)),
    };
    match n {
        0..20 => SMALL[n].to_owned(),
        20..100 => with_rest(TENS[n / 10].to_owned(), n % 10, "-"),
        100..1_000 => with_rest(format!("{} hundred", SMALL[n / 100]), n % 100, " "),
        1_000..1_000_000 => with_rest(format!("{} thousand", number(n / 1_000)), n % 1_000, " "),
        _ => with_rest(format!("{} million", number(n / 1_000_000)), n % 1_000_000, " "),
    }
}

/// A text in lines of so many characters, broken between words; a word that is longer is cut off.
pub(super) fn lines(text: &str, length: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let word = &word[..word.len().min(length)];
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + 1 + word.len() <= length => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::category::CATEGORIES;

    #[test]
    fn amounts_are_written_as_people_would() {
        assert_eq!(figures(1_205), "12.05");
        assert_eq!(words(50), "zero and 50/100");
        assert_eq!(words(12_345), "one hundred twenty-three and 45/100");
        assert_eq!(words(7_001_000), "seventy thousand ten and 00/100");
    }

    #[test]
    fn lines_break_between_words() {
        assert_eq!(
            lines("one hundred twenty-three", 12),
            ["one hundred", "twenty-three"]
        );
        assert_eq!(lines("abcdefgh", 3), ["abc"]);
    }

    #[test]
    fn every_kind_of_merchant_has_a_trade_of_its_own() {
        let names = CATEGORIES.iter().map(|c| trade(c.name).0);
        assert_eq!(
            names.collect::<std::collections::BTreeSet<_>>().len(),
            CATEGORIES.len()
        );
    }
}
