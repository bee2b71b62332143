//! The admin API, as people and CI use it.

use std::error::Error;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Somebody with a token.
pub(super) struct Admin {
    agent: Agent,
    base: String,
    token: String,
}

/// What the director says.
pub(super) struct Answer {
    status: u16,
    pub(super) body: Value,
}

impl Answer {
    /// The code of a refusal; empty if it is none.
    pub(super) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }

    /// What it says, if it does what was asked.
    pub(super) fn done(self) -> Result<Value> {
        match self.status {
            200..300 => Ok(self.body),
            status => Err(format!("the director answers {status}: {}", self.body).into()),
        }
    }
}

impl Admin {
    /// Whoever shows this token to the director at this address.
    pub(super) fn new(address: SocketAddr, token: &str) -> Self {
        let config = Agent::config_builder().http_status_as_error(false).build();
        Self {
            agent: config.into(),
            base: format!("http://{address}"),
            token: format!("Bearer {token}"),
        }
    }

    /// The same, where the director is now.
    pub(super) fn moved_to(&self, address: SocketAddr) -> Self {
        Self {
            base: format!("http://{address}"),
            agent: self.agent.clone(),
            token: self.token.clone(),
        }
    }

    /// Whether the director can sign.
    pub(super) fn is_ready(&self) -> Result<bool> {
        Ok(self.get("/readyz")?.status == 200)
    }

    /// Lets a vehicle register.
    pub(super) fn announce(&self, vin: &str) -> Result<()> {
        let vehicle = json!({ "vin": vin, "tenant": "example" });
        self.post("/v1/vehicles", &vehicle)?.done()?;
        Ok(())
    }

    /// What is known of a vehicle.
    pub(super) fn vehicle(&self, vin: &str) -> Result<Value> {
        self.get(&format!("/v1/vehicles/{vin}"))?.done()
    }

    /// What has happened to a vehicle: the names of the entries in the audit log.
    pub(super) fn history(&self, vin: &str) -> Result<Vec<String>> {
        let log = self.get(&format!("/v1/vehicles/{vin}/history"))?.done()?;
        let entries = log["entries"].as_array().cloned().unwrap_or_default();
        let action = |entry: &Value| entry["action"].as_str().unwrap_or_default().to_owned();
        Ok(entries.iter().map(action).collect())
    }

    /// Has images installed, all of them or none.
    pub(super) fn assign(&self, vin: &str, images: &[(&str, &str)]) -> Result<Answer> {
        let images: Value = images
            .iter()
            .map(|(ecu, image)| ((*ecu).to_owned(), Value::from(*image)))
            .collect();
        let path = format!("/v1/vehicles/{vin}/assignments");
        self.post(&path, &json!({ "images": images }))
    }

    /// Gives a vehicle orders again.
    pub(super) fn release(&self, vin: &str) -> Result<()> {
        let path = format!("/v1/vehicles/{vin}/release");
        self.post(&path, &json!({}))?.done()?;
        Ok(())
    }

    /// Takes in what the image repository says of an image.
    pub(super) fn list(&self, image: &str) -> Result<()> {
        self.post("/v1/images", &json!({ "path": image }))?.done()?;
        Ok(())
    }

    /// Brings the bytes of an image; what the director makes of them.
    pub(super) fn upload(&self, image: &str, file: &Path) -> Result<Value> {
        let url = format!("{}/v1/images/content?path={image}", self.base);
        let request = self.agent.put(url).header("Authorization", &self.token);
        let request = request.header("Content-Type", "application/octet-stream");
        answer(request.send(File::open(file)?)?)?.done()
    }

    fn get(&self, path: &str) -> Result<Answer> {
        let request = self.agent.get(format!("{}{path}", self.base));
        answer(request.header("Authorization", &self.token).call()?)
    }

    fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("Authorization", &self.token);
        let request = request.header("Content-Type", "application/json");
        answer(request.send(body.to_string())?)
    }
}

fn answer(response: Response<Body>) -> Result<Answer> {
    let status = response.status().as_u16();
    let text = response.into_body().read_to_string()?;
    Ok(Answer {
        status,
        body: serde_json::from_str(&text).unwrap_or_default(),
    })
}
