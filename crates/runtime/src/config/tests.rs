#![allow(clippy::unwrap_used)]
use super::*;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT: &str = r#"
[kafka]
bootstrap_servers = "localhost:9092"
password = ""
sessions = 4

[kafka.properties]
"linger.ms" = "5"

[scores]
delivery = "transactional"
review = 0.5
decline = 0.9
linger = "5ms"
"#;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    kafka: Kafka,
    scores: Scores,
    #[serde(default)]
    features: Vec<Feature>,
    #[serde(default)]
    mappings: BTreeMap<String, Mapping>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kafka {
    bootstrap_servers: String,
    password: Secret,
    #[serde(default)]
    token: Option<Secret>,
    sessions: u16,
    properties: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Scores {
    delivery: Delivery,
    review: f64,
    decline: f64,
    #[serde(with = "humantime_serde")]
    linger: Duration,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Delivery {
    Transactional,
    Idempotent,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    name: String,
    window: Window,
    aggregate: Aggregate,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Window(u32);

impl TryFrom<String> for Window {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
        days.map(Self)
            .ok_or_else(|| format!("`{text}` is no window of days"))
    }
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum Aggregate {
    Count,
    Sum { of: String },
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mapping {
    id: String,
    time: String,
}

impl Check for Config {
    const SECRETS: &'static [&'static str] =
        &["kafka.password", "kafka.token", "kafka.properties.\"*password*\""];

    fn check(&self, problems: &mut Problems) {
        problems.within("scores", |problems| {
            if self.scores.review >= self.scores.decline {
                problems.add_with_remedy("review", "must lie below decline", "lower it");
            }
        });
        for (index, feature) in self.features.iter().enumerate() {
            if feature.window.0 == 0 {
                problems.add(format!("features[{index}].window"), "is empty");
            }
        }
    }
}

fn layers(file: &str) -> Layers {
    let file = Some((PathBuf::from("config/test.toml"), file.to_owned()));
    Layers {
        default_text: DEFAULT,
        file,
        ..Layers::default()
    }
}

fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn flag(flag: &str, key: &str, value: &str) -> Override {
    Override {
        flag: flag.to_owned(),
        key: key.to_owned(),
        value: value.to_owned(),
    }
}

fn problems(layers: Layers) -> Vec<String> {
    let error = load::<Config>(layers).unwrap_err();
    error.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_layer_overrides_the_ones_below() {
    let mut layers =
        layers("[kafka]\nbootstrap_servers = \"file:1\"\nsessions = 5\n[scores]\nlinger = \"1s\"");
    layers.environment = environment(&[
        ("RISKSTREAM__KAFKA__SESSIONS", "6"),
        ("RISKSTREAM__SCORES__DELIVERY", "idempotent"),
        ("RISKSTREAM__SCORES__REVIEW", "0.25"),
        ("RISKSTREAM_LOG", "debug"),
        ("PATH", "/bin"),
    ]);
    layers.overrides = vec![flag("--review", "scores.review", "0.125")];
    let loaded = load::<Config>(layers).unwrap();
    let config = &loaded.config;
    assert_eq!(config.kafka.bootstrap_servers, "file:1");
    assert_eq!(config.kafka.sessions, 6);
    assert_eq!(config.scores.delivery, Delivery::Idempotent);
    assert_eq!(config.scores.review.to_bits(), 0.125_f64.to_bits());
    assert_eq!(config.scores.decline.to_bits(), 0.9_f64.to_bits());
    assert_eq!(config.scores.linger, Duration::from_secs(1));
    assert_eq!(config.kafka.properties["linger.ms"], "5");

    let settings = loaded.settings();
    let origin = |key: &str| {
        settings
            .iter()
            .find(|setting| setting.key == key)
            .unwrap()
            .origin
            .clone()
    };
    assert_eq!(origin("kafka.bootstrap_servers"), "config/test.toml:2");
    assert_eq!(
        origin("kafka.sessions"),
        "environment RISKSTREAM__KAFKA__SESSIONS"
    );
    assert_eq!(origin("scores.review"), "flag --review");
    assert_eq!(origin("scores.decline"), "default:13");
}

#[test]
fn free_maps_and_arrays_of_tables_are_read() {
    let loaded = load::<Config>(layers(
        "[mappings.cards]\nid = \"a\"\ntime = \"b\"\n\
         [[features]]\nname = \"x\"\nwindow = \"7d\"\naggregate = { kind = \"sum\", of = \"amount\" }\n\
         [[features]]\nname = \"y\"\nwindow = \"1d\"\naggregate = { kind = \"count\" }\n",
    ));
    let config = loaded.unwrap().config;
    assert_eq!(
        (
            config.mappings["cards"].id.as_str(),
            config.mappings["cards"].time.as_str()
        ),
        ("a", "b")
    );
    assert_eq!(config.features[0].window.0, 7);
    assert!(matches!(&config.features[0].aggregate, Aggregate::Sum { of } if of == "amount"));
    assert_eq!(config.features[1].name, "y");
    assert!(matches!(config.features[1].aggregate, Aggregate::Count));
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let file = r#"[kafka]
bootstap_servers = "x:1"
sessions = 70000
colour = "red"

[scores]
delivery = "transactonal"
unread = 1

[mappings.cards]
tiem = "t"

[[features]]
name = "ok"
window = "7d"
aggregate = { kind = "count" }

[[features]]
name = 5
window = "7 weeks"
aggregate = { kind = "sum" }

[[features]]
window = "0d"
aggregate = { kind = "sum", off = "amount" }
"#;
    let mut layers = layers(file);
    layers.environment = environment(&[
        ("RISKSTREAM__KAFKA__SESSION", "1"),
        ("RISKSTREAM__SCORES__DECLINE", "high"),
    ]);
    layers.overrides = vec![flag("--linger", "scores.linger", "5 fortnights")];
    let found = problems(layers);
    let expected = [
        "config/test.toml:2 kafka.bootstap_servers: unknown key `bootstap_servers` \
         (did you mean `bootstrap_servers`?)",
        "config/test.toml:3 kafka.sessions: expected a whole number from 0 to 65535, found 70000",
        "config/test.toml:4 kafka.colour: unknown key `colour` \
         (known here: bootstrap_servers, password, token, sessions, properties)",
        "config/test.toml:7 scores.delivery: expected one of transactional, idempotent, \
         found \"transactonal\" (did you mean `transactional`?)",
        "config/test.toml:8 scores.unread: unknown key `unread` (known here: delivery, review, decline, linger)",
        "config/test.toml:10 mappings.cards.id: missing",
        "config/test.toml:10 mappings.cards.time: missing",
        "config/test.toml:11 mappings.cards.tiem: unknown key `tiem` (did you mean `time`?)",
        "config/test.toml:19 features[1].name: expected a string, found 5",
        "config/test.toml:20 features[1].window: `7 weeks` is no window of days",
        "config/test.toml:21 features[1].aggregate.of: missing",
        "config/test.toml:23 features[2].name: missing",
        "config/test.toml:25 features[2].aggregate.off: unknown key `off` (did you mean `of`?)",
        "config/test.toml:25 features[2].aggregate.of: missing",
        "environment RISKSTREAM__KAFKA__SESSION: unknown key `session` (did you mean `sessions`?)",
        "environment RISKSTREAM__SCORES__DECLINE: expected a number, found \"high\"",
    ];
    for line in expected {
        assert!(
            found.iter().any(|problem| problem == line),
            "missing: {line}\nin {found:#?}"
        );
    }
    assert!(found.last().unwrap().starts_with("flag --linger: "), "{found:#?}");
    assert_eq!(found.len(), expected.len() + 1, "{found:#?}");
}

#[test]
fn checks_run_beside_other_problems_but_not_in_their_sections() {
    let wrong_value = "[scores]\nreview = 0.95\n[kafka]\nsessions = -1\n";
    let review = "config/test.toml:2 scores.review: must lie below decline (lower it)";
    let sessions = "config/test.toml:4 kafka.sessions: expected a whole number from 0 to 65535, found -1";
    assert_eq!(problems(layers(wrong_value)), [review, sessions]);

    let same_section = "[scores]\nreview = 0.95\ndelivery = 3\n";
    let found = problems(layers(same_section));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].starts_with("config/test.toml:3 scores.delivery: "),
        "{found:?}"
    );
}

#[test]
fn a_check_of_an_element_names_its_line() {
    let file = "[[features]]\nname = \"x\"\nwindow = \"0d\"\naggregate = { kind = \"count\" }\n";
    assert_eq!(
        problems(layers(file)),
        ["config/test.toml:3 features[0].window: is empty"]
    );
}

#[test]
fn a_missing_section_is_reported_as_one() {
    let layers = Layers {
        default_text: "[scores]\nreview = 0.1\n",
        ..Layers::default()
    };
    let found = problems(layers);
    assert!(
        found.contains(&"default:1 kafka: missing".to_owned()),
        "{found:?}"
    );
    assert!(
        found.contains(&"default:1 scores.decline: missing".to_owned()),
        "{found:?}"
    );
}

#[test]
fn a_text_that_is_no_toml_is_reported_with_all_its_lines() {
    let found = problems(layers(
        "[kafka]\nsessions = = 1\n[scores]\nreview = 0.1.2\nreview = 0.2\n",
    ));
    assert!(
        found
            .iter()
            .any(|problem| problem.starts_with("config/test.toml:2: ")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.starts_with("config/test.toml:4: ")),
        "{found:?}"
    );
    assert!(
        found
            .iter()
            .any(|problem| problem.starts_with("config/test.toml:5: ")),
        "{found:?}"
    );
}

#[test]
fn variables_keep_texts_of_digits_and_find_keys_with_dots() {
    let mut layers = layers("");
    layers.environment = environment(&[
        ("RISKSTREAM__KAFKA__PASSWORD", "0123"),
        ("RISKSTREAM__KAFKA__PROPERTIES__LINGER_MS", "7"),
        (
            "RISKSTREAM__FEATURES",
            "[{name = 'a', window = '2d', aggregate = {kind = 'count'}}]",
        ),
        ("RISKSTREAM__KAFKA__BOOTSTRAP_SERVERS", "a:1,b:2"),
    ]);
    let config = load::<Config>(layers).unwrap().config;
    assert_eq!(config.kafka.password.expose(), "0123");
    assert_eq!(config.kafka.properties["linger.ms"], "7");
    assert_eq!(config.features[0].window.0, 2);
    assert_eq!(config.kafka.bootstrap_servers, "a:1,b:2");
}

#[test]
fn variables_and_flags_that_lead_nowhere_are_reported() {
    let mut layers = layers("");
    layers.environment = environment(&[
        ("RISKSTREAM__KAFKA__SESSIONS__X", "1"),
        ("RISKSTREAM__KAFKA____X", "1"),
    ]);
    layers.overrides = vec![flag("--set", "kafka..x", "1")];
    let found = problems(layers);
    assert_eq!(
        found,
        [
            "environment RISKSTREAM__KAFKA__SESSIONS__X: kafka.sessions is no table, nothing can be set below it",
            "environment RISKSTREAM__KAFKA____X: the name must be RISKSTREAM__SECTION__KEY",
            "flag --set: `kafka..x` is no dotted key",
        ]
    );
}

#[test]
fn secrets_are_read_from_the_files_that_are_named() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "hunter2").unwrap();
    let name = file.path().to_str().unwrap().to_owned();

    let mut from_variable = layers("");
    from_variable.environment = environment(&[
        ("RISKSTREAM__KAFKA__PASSWORD_FILE", &name),
        ("RISKSTREAM__KAFKA__PROPERTIES__SASL_PASSWORD_FILE", &name),
    ]);
    let loaded = load::<Config>(from_variable).unwrap();
    assert_eq!(loaded.config.kafka.password.expose(), "hunter2");
    assert_eq!(loaded.config.kafka.properties["sasl_password"], "hunter2");
    assert!(!loaded.to_toml().contains("hunter2"));

    let from_file = load::<Config>(layers(&format!("[kafka]\ntoken_file = '{name}'"))).unwrap();
    assert_eq!(from_file.config.kafka.token.unwrap().expose(), "hunter2");

    let mut above = layers(&format!("[kafka]\npassword_file = '{name}'"));
    above.environment = environment(&[("RISKSTREAM__KAFKA__PASSWORD", "direct")]);
    assert_eq!(
        load::<Config>(above).unwrap().config.kafka.password.expose(),
        "direct"
    );
}

#[test]
fn secret_files_that_cannot_be_used_are_reported() {
    let found = problems(layers(
        "[kafka]\npassword = \"a\"\npassword_file = \"b\"\ntoken_file = \"/no/such\"",
    ));
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(
        found[0],
        "config/test.toml:3 kafka.password_file: kafka.password is given as well (keep one of the two)"
    );
    assert!(
        found[1].starts_with("config/test.toml:4 kafka.token_file: cannot read /no/such: "),
        "{found:?}"
    );
    let found = problems(layers("[scores]\nreview_file = \"x\""));
    assert!(found[0].contains("unknown key `review_file`"), "{found:?}");
}

#[test]
fn a_secret_is_never_printed() {
    let text = "[kafka]\npassword = \"hunter2\"\ntoken = \"hunter2\"\n\
                [kafka.properties]\n\"sasl.password\" = \"hunter2\"\n\"sasl.username\" = \"me\"\n";
    let loaded = load::<Config>(layers(text)).unwrap();
    assert_eq!(loaded.config.kafka.password.expose(), "hunter2");
    let settings = loaded.settings();
    let shown = [
        loaded.to_toml(),
        serde_json::to_string(&settings).unwrap(),
        format!("{settings:?}"),
        format!("{:?}", loaded.config.kafka.password),
        format!("{}", loaded.config.kafka.password),
        serde_json::to_string(&loaded.config.kafka.password).unwrap(),
    ];
    for text in shown {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("***"), "{text}");
    }
    assert!(
        loaded
            .to_toml()
            .contains("\"sasl.username\" = \"me\"  # config/test.toml:6")
    );

    let wrong = problems(layers(
        "[kafka]\npassword = [\"hunter2\"]\ntoken = { hunter2 = 1 }\n",
    ));
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(
        wrong.iter().all(|problem| !problem.contains("\"hunter2\"")),
        "{wrong:?}"
    );
    let mut number = layers("[kafka]\npassword = 9876543\n");
    number.default_text = DEFAULT;
    assert!(
        problems(number)
            .iter()
            .all(|problem| !problem.contains("9876543"))
    );
}

#[test]
fn what_is_shown_is_toml_with_the_same_values() {
    let file = "[mappings.cards]\nid = \"a \\\" \\\\ b\"\ntime = \"line\\nbreak\"\n\
                [[features]]\nname = \"x\"\nwindow = \"7d\"\naggregate = { kind = \"sum\", of = \"amount\" }\n";
    let first = load::<Config>(layers(file)).unwrap();
    let again = load::<Config>(layers(&first.to_toml())).unwrap();
    let values = |loaded: &Loaded<Config>| {
        let pairs = loaded
            .settings()
            .into_iter()
            .map(|setting| (setting.key, setting.value));
        pairs.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(values(&first), values(&again));
    assert_eq!(again.config.mappings["cards"].time, "line\nbreak");
}
