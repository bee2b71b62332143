//! Requests with a body, and what a service says to them.

use std::time::Duration;

use serde::Deserialize;
use ureq::Agent;
use ureq::http::{Response, header};

use super::get::number;
use super::http::{explain, text};
use super::location::HttpUrl;
use super::{Body, Effort, FetchError, HttpFetcher};

/// Bytes of a refusal that are looked at.
const MAX_REFUSAL: u64 = 4096;

/// Characters of a refusal's message that are shown.
const MAX_MESSAGE: usize = 300;

/// How a body is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `PUT`
    Put,
    /// `POST`
    Post,
}

/// What a service answered, with a status from 200 to 299.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, whole.
    pub body: Vec<u8>,
}

impl HttpFetcher {
    /// Sends `json` to `url`, and again under the rules of [`Effort`] if that fails: for requests
    /// that change nothing when they come twice.
    ///
    /// At most `max_len + 1` bytes of the answer are read. Every window of the body that is sent
    /// gives the server its time to answer anew; redirects are refused.
    ///
    /// # Errors
    /// [`FetchError::Refused`] if the service says what is wrong,
    /// [`FetchError::TooLarge`] above `max_len`; otherwise the last try's error.
    pub fn exchange(
        &mut self,
        (method, url): (Method, &str),
        json: &[u8],
        max_len: u64,
    ) -> Result<Answer, FetchError> {
        HttpUrl::parse(url)?;
        let mut effort = Effort::start();
        loop {
            match self.exchange_once((method, url), json, max_len) {
                Ok(answer) => return Ok(answer),
                Err(error) => effort.again_after(error)?,
            }
        }
    }

    fn exchange_once(
        &mut self,
        (method, url): (Method, &str),
        json: &[u8],
        max_len: u64,
    ) -> Result<Answer, FetchError> {
        self.pace.lock().restart();
        self.pace.lock().uploads();
        let start = match method {
            Method::Put => Agent::put,
            Method::Post => Agent::post,
        };
        let request = start(&self.agent, url).header(header::CONTENT_TYPE, "application/json");
        let response = request.send(json);
        let response = response.map_err(|e| explain(url, e, &self.pace))?;
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(self.refusal(url, response));
        }
        let too_large = || FetchError::TooLarge {
            url: url.to_owned(),
            limit: max_len,
        };
        let answer = self.body(url, response, 0);
        if answer.content_length().is_some_and(|n| n > max_len) {
            return Err(too_large());
        }
        match read_at_most(answer, max_len)? {
            Some(body) => Ok(Answer { status, body }),
            None => Err(too_large()),
        }
    }

    fn refusal(&self, url: &str, response: Response<ureq::Body>) -> FetchError {
        let status = response.status().as_u16();
        let retry_after = number(text(response.headers(), "retry-after"));
        let retry_after = retry_after.map(Duration::from_secs);
        let location = text(response.headers(), "location").map(str::to_owned);
        let url = url.to_owned();
        if let (300..400, Some(to)) = (status, location) {
            let why = "what a vehicle says is sent nowhere else; configure that URL if it is right";
            return FetchError::Redirect { url, to, why };
        }
        let body = read_at_most(self.body(&url, response, 0), MAX_REFUSAL);
        let said = body.ok().flatten().and_then(|body| Said::read(&body));
        match (said, status) {
            (Some(said), _) => FetchError::Refused {
                url,
                status,
                code: said.code,
                message: said.message,
                retry_after,
            },
            (None, 404 | 410) => FetchError::NotFound {
                url,
                status: Some(status),
            },
            (None, 408 | 425 | 429 | 500..=599) => FetchError::Unavailable {
                url,
                status,
                retry_after,
            },
            (None, _) => FetchError::Status { url, status },
        }
    }
}

/// The rest of a body; `None` if it is longer than `max_len`.
fn read_at_most(mut body: Body<'_>, max_len: u64) -> Result<Option<Vec<u8>>, FetchError> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let n = body.read(&mut piece)?;
        if n == 0 {
            return Ok(Some(bytes));
        }
        bytes.extend(piece.iter().take(n));
        if bytes.len() as u64 > max_len {
            return Ok(None);
        }
    }
}

/// What a service says about its refusal: `{"error": {"code": .., "message": ..}}`.
#[derive(Deserialize)]
struct Said {
    code: String,
    message: String,
}

impl Said {
    fn read(body: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Whole {
            error: Said,
        }
        let said = serde_json::from_slice::<Whole>(body).ok()?.error;
        let in_code = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_code = (1..=64).contains(&said.code.len()) && said.code.bytes().all(in_code);
        is_code.then(|| Said {
            message: plain(&said.message),
            code: said.code,
        })
    }
}

/// A server's text, fit for a terminal and a log line: short, without control and invisible
/// characters.
fn plain(text: &str) -> String {
    let is_visible = |c: &char| matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1;
    text.chars().filter(is_visible).take(MAX_MESSAGE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_command_a_terminal_or_fill_a_log() {
        let text = format!("a \"b\"\u{1b}[2J\n\u{202e}é{}", "x".repeat(1000));
        let shown = plain(&text);
        assert!(shown.starts_with("a \"b\"[2Jé"), "{shown}");
        assert_eq!(shown.chars().count(), MAX_MESSAGE);
    }

    #[test]
    fn only_a_code_is_a_code() {
        let read = |code: &str| {
            let body = format!(r#"{{"error": {{"code": {code:?}, "message": "m"}}}}"#);
            Said::read(body.as_bytes()).map(|said| said.code)
        };
        assert_eq!(read("report-replayed").as_deref(), Some("report-replayed"));
        for code in ["", "Rate", "a b", &"x".repeat(65)] {
            assert_eq!(read(code), None, "{code}");
        }
        assert!(Said::read(b"<html>").is_none());
    }
}
