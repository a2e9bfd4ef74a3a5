//! What a user meets first: the configuration and the help.

#![allow(clippy::unwrap_used, reason = "in a test a failure is the message")]

use tests::{Cli, Output};

const SECRET: &str = "the secret of this test, which nobody may see";

fn with_file(text: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, text).unwrap();
    let arguments = [arguments, &["--config", file.to_str().unwrap()]].concat();
    Cli::new().run(&arguments)
}

#[test]
fn all_problems_come_at_once_with_their_places() {
    let text = "[kafka]\nbootstrap_servers = 7\n\n[scorer]\nreason = 3\nlinger = \"soon\"\n\n[topics]\npartitions = 0\n";
    let output = with_file(text, &["config", "check", "--set", "lake.max_rows=many"]);
    assert!(!output.success);
    for problem in [
        "mine.toml:2 kafka.bootstrap_servers",
        "mine.toml:5 scorer.reason: unknown key",
        "mine.toml:6 scorer.linger",
        "mine.toml:9 topics.partitions",
        "--set",
    ] {
        assert!(
            output.stderr.contains(problem),
            "{problem} is not in {}",
            output.stderr
        );
    }
    assert!(output.stderr.contains("5 problems"), "{}", output.stderr);
}

#[test]
fn mappings_of_images_are_checked_with_their_places() {
    let senseless = "[image_mappings.mine]\nimage_id = { constant = \"i\" }\nkind = { constant = \"selfie\" }\n\
        content = { file = \"path\" }\nlabel = { column = \"fraud\" }\nevent_time = { column = \"t\" }\n";
    let shapeless = "[image_mappings.mine]\nimage_id = { row = \"i-\" }\nkind = { constant = \"other\" }\n\
        content = { fill = \"path\" }\nevent_time = { column = \"t\", start = \"2025-01-01\" }\n";
    for (text, problems) in [
        (
            senseless,
            [
                "2 image_mappings.mine.image_id",
                "3 image_mappings.mine.kind",
                "5 image_mappings.mine.label",
            ],
        ),
        (
            shapeless,
            [
                "4 image_mappings.mine.content",
                "5 image_mappings.mine.event_time: name either",
                "2 problems",
            ],
        ),
    ] {
        let output = with_file(text, &["config", "check"]);
        assert!(!output.success);
        for problem in problems {
            assert!(
                output.stderr.contains(problem),
                "{problem} is not in {}",
                output.stderr
            );
        }
    }
}

#[test]
fn unknown_keys_are_refused_wherever_they_come_from() {
    let file = with_file("[ingest]\ngruop = \"mine\"\n", &["config", "check"]);
    let flag = Cli::new().run(&["config", "check", "--set", "ingest.gruop=mine"]);
    let variable = Cli::new()
        .with_variable("RISKSTREAM__INGEST__GRUOP", "mine")
        .run(&["config", "check"]);
    for output in [file, flag, variable] {
        assert!(
            !output.success && output.stderr.to_lowercase().contains("gruop"),
            "{output:?}"
        );
        assert!(output.stderr.contains("group"), "the remedy is named: {output:?}");
    }
}

#[test]
fn later_layers_win() {
    let shown = |cli: Cli, arguments: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        std::fs::write(&file, "[ingest]\ngroup = \"of-the-file\"\n").unwrap();
        cli.run(&[&["config", "show", "--config", file.to_str().unwrap()], arguments].concat())
            .ok()
            .stdout
    };
    assert!(shown(Cli::new(), &[]).contains("group = \"of-the-file\""));
    let cli = Cli::new().with_variable("RISKSTREAM__INGEST__GROUP", "of-the-variable");
    assert!(shown(cli.clone(), &[]).contains("group = \"of-the-variable\""));
    assert!(shown(cli, &["--set", "ingest.group=of-the-flag"]).contains("group = \"of-the-flag\""));
}

/// INV-7 holds for the keys as well.
#[test]
fn no_secret_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("token.key");
    std::fs::write(&key, SECRET).unwrap();
    let files = Cli::new().with_variable("RISKSTREAM__SECRETS__TOKEN_KEY_FILE", key.to_str().unwrap());
    let password = format!("kafka.properties.\"sasl.password\"={SECRET}");
    for command in [
        &["config", "show"][..],
        &["config", "show", "--format", "json"],
        &["config", "show", "--set", &password],
        &["config", "show", "--format", "json", "--set", &password],
        &[
            "config",
            "check",
            "--set",
            &password,
            "--set",
            "scorer.linger=soon",
        ],
    ] {
        let output = files.run(command);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(!all.contains(SECRET), "{command:?} shows the secret: {all}");
    }
    assert!(
        files
            .run(&["config", "show"])
            .ok()
            .stdout
            .contains("token_key = \"***\"")
    );
}

#[test]
fn the_printed_default_loads_again() {
    let default = Cli::new().run(&["config", "show", "--default"]).ok().stdout;
    assert!(
        default.lines().filter(|line| line.starts_with('#')).count() > 20,
        "it is commented"
    );
    let _ = with_file(&default, &["config", "check"]).ok();
    let values = |output: Output| output.ok().lines_without_origins();
    assert_eq!(
        values(with_file(&default, &["config", "show"])),
        values(Cli::new().run(&["config", "show"]))
    );
}

trait LinesWithoutOrigins {
    fn lines_without_origins(&self) -> Vec<String>;
}

impl LinesWithoutOrigins for Output {
    /// What `config show` prints, less where each value comes from.
    fn lines_without_origins(&self) -> Vec<String> {
        self.stdout
            .lines()
            .map(|line| line.split("  # ").next().unwrap_or_default().to_owned())
            .collect()
    }
}

#[test]
fn every_command_explains_itself() {
    let commands = [
        "up",
        "ingest",
        "preprocess",
        "trainer",
        "scorer",
        "topics",
        "topics create",
        "simulate",
        "produce",
        "consume",
        "train",
        "evaluate",
        "model",
        "model list",
        "model show",
        "config",
        "config check",
        "config show",
        "demo",
    ];
    let all = Cli::new().run(&["--help"]).ok().stdout;
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let help = Cli::new().run(&[&words[..], &["--help"]].concat()).ok().stdout;
        assert!(
            help.contains("Usage: riskstream") && help.contains("--config"),
            "{command}: {help}"
        );
        assert!(all.contains(words[0]), "{command} is not in the overview");
    }
}
