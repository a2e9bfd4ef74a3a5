//! The binary as a user runs it.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// The command line, with arguments and variables that every run of it gets.
#[derive(Clone, Debug)]
pub struct Cli {
    binary: PathBuf,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Cli {
    /// The binary that was built beside this test.
    ///
    /// # Panics
    /// If it has not been built.
    #[must_use]
    pub fn new() -> Self {
        let test = std::env::current_exe().expect("a test knows its own file");
        let folder = test
            .parent()
            .and_then(|deps| deps.parent())
            .expect("tests lie in target/PROFILE/deps");
        let binary = folder.join("riskstream");
        let named = binary.display();
        assert!(
            binary.exists(),
            "{named} is not there; build it first: cargo build --release -p riskstream"
        );
        Self {
            binary,
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// Every run gets these arguments, after its own.
    #[must_use]
    pub fn with_arguments(mut self, arguments: impl IntoIterator<Item = String>) -> Self {
        self.arguments.extend(arguments);
        self
    }

    /// Every run gets this variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        let output = self
            .command(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("the binary starts");
        Output {
            command: arguments.join(" "),
            success: output.status.success(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts a command that goes on; what it prints goes to `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(&self, arguments: &[&str], log: File) -> Child {
        let also = log.try_clone().expect("a file can be shared");
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::null())
            .stdout(also)
            .stderr(log)
            .spawn()
            .expect("the binary starts")
    }

    /// Nothing of the environment of the test reaches the binary but what is said here.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments).args(&self.arguments).env_clear();
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Default for Cli {
    fn default() -> Self {
        Self::new()
    }
}

/// What a command has printed, and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    command: String,
    /// Whether it says that it succeeded.
    pub success: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

impl Output {
    /// The same, of a command that has to succeed.
    ///
    /// # Panics
    /// If it did not.
    #[must_use]
    pub fn ok(self) -> Self {
        assert!(
            self.success,
            "riskstream {} failed: {}{}",
            self.command, self.stdout, self.stderr
        );
        self
    }

    /// Its standard output as JSON, one value a line.
    ///
    /// # Panics
    /// If a line is no JSON.
    #[must_use]
    pub fn lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// Its standard output as one JSON value.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}
