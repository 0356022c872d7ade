//! A real Chromium without a window, spoken to by its DevTools protocol.
//!
//! The protocol goes over a pipe (`--remote-debugging-pipe`): JSON messages with a NUL behind each,
//! and no port that another program could connect to. The few calls that are made here need no crate
//! of their own: `headless_chrome` brings an HTTP client and WebSockets, `chromiumoxide` an async
//! runtime and the whole protocol as generated code, `thirtyfour` needs a driver program beside the
//! browser.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long the browser may take for one call, and for a page to come to a stated condition.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether there is a Chromium here. With `RIG_NO_SKIP` set there must be one.
pub fn is_here() -> bool {
    let here = Command::new("chromium").arg("--version").output().is_ok();
    let no_skip = std::env::var_os("RIG_NO_SKIP").is_some();
    assert!(here || !no_skip, "RIG_NO_SKIP is set, and there is no program `chromium`");
    if !here {
        eprintln!("skipped: there is no program `chromium`");
    }
    here
}

/// The browser with one page.
pub struct Chromium {
    child: Child,
    to: ChildStdin,
    from: Receiver<Value>,
    calls: u64,
    session: Option<String>,
    /// What the page told by itself, in order.
    events: Vec<Value>,
    /// Removed with the browser.
    _profile: TempDir,
}

impl Chromium {
    pub fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The protocol's file descriptors are 3 and 4; a shell can put the pipes there, Rust only
        // with code that is not safe.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null", "sh"])
            .args(["--headless=new", "--remote-debugging-pipe", "--disable-gpu"])
            // Containers give it no namespaces of its own, and the page is ours.
            .arg("--no-sandbox")
            // Nothing that the browser itself would like to load.
            .args([
                "--disable-background-networking",
                "--disable-component-update",
                "--no-first-run",
            ])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, from) = mpsc::channel();
        let mut messages = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            let mut message = Vec::new();
            while messages.read_until(0, &mut message).is_ok_and(|length| length > 0) {
                message.pop();
                let told = serde_json::from_slice(&message).map(|value| sender.send(value).is_ok());
                if !told.unwrap_or(true) {
                    break;
                }
                message.clear();
            }
        });
        let to = child.stdin.take().unwrap();
        let mut browser = Self {
            child,
            to,
            from,
            calls: 0,
            session: None,
            events: Vec::new(),
            _profile: profile,
        };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        // The page's own animations are for people.
        let reduced = json!({"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]});
        browser.call("Emulation.setEmulatedMedia", reduced);
        browser
    }

    /// Calls a method of the protocol and waits for its answer.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": params});
        if let Some(session) = &self.session {
            call["sessionId"] = json!(session);
        }
        let mut call = serde_json::to_vec(&call).unwrap();
        call.push(0);
        self.to.write_all(&call).unwrap();
        let end = Instant::now() + PATIENCE;
        loop {
            let message = self.next(end, method);
            if message["id"] == json!(self.calls) {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn next(&self, end: Instant, what: &str) -> Value {
        let left = end.saturating_duration_since(Instant::now());
        self.from.recv_timeout(left).unwrap_or_else(|_| panic!("the browser: no answer to {what}"))
    }

    /// Opens a file, with `hash` behind it, as if its address had been typed; returns when it has
    /// loaded.
    pub fn open(&mut self, file: &Path, hash: &str) {
        // A change behind the # alone would not load the page anew.
        self.call("Page.navigate", json!({"url": "about:blank"}));
        self.loaded();
        let file = file.canonicalize().unwrap();
        let url = format!("file://{}{hash}", file.display());
        self.call("Page.navigate", json!({"url": url}));
        self.loaded();
    }

    fn loaded(&mut self) {
        let end = Instant::now() + PATIENCE;
        let is_load = |event: &Value| event["method"] == "Page.loadEventFired";
        while !self.events.iter().any(is_load) {
            let event = self.next(end, "Page.navigate");
            self.events.push(event);
        }
        self.events.retain(|event| !is_load(event));
    }

    /// The value of a JavaScript expression in the page.
    pub fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }

    /// The text that an expression gives.
    pub fn text(&mut self, expression: &str) -> String {
        let value = self.value(expression);
        value.as_str().unwrap_or_else(|| panic!("{expression} is no text: {value}")).to_owned()
    }

    /// Waits until an expression is true; panics, naming it, if it never is.
    pub fn until(&mut self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.value(expression) != json!(true) {
            assert!(Instant::now() < end, "the page: {expression} was never true");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Presses and releases a key of which this test knows the number.
    pub fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "End" => (35, ""),
            "Home" => (36, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            other => panic!("no number is known for the key {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code});
            if kind == "keyDown" && !text.is_empty() {
                event["text"] = json!(text);
            }
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Types text into what has the focus.
    pub fn enter(&mut self, text: &str) {
        self.call("Input.insertText", json!({"text": text}));
    }

    /// What went wrong in the page: exceptions, errors on its console, what the policy stopped.
    pub fn complaints(&self) -> Vec<String> {
        let bad = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Log.entryAdded") => event["params"]["entry"]["level"] == "error",
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        self.events.iter().filter(bad).map(|event| event["params"].to_string()).collect()
    }

    /// The addresses that were asked for, the pages themselves included.
    pub fn requests(&self) -> Vec<String> {
        let sent =
            self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        sent.filter_map(|event| event["params"]["request"]["url"].as_str().map(str::to_owned))
            .collect()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Its own children end when it does.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
