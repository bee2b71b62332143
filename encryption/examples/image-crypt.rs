//! Encrypts, decrypts, wraps and unwraps for other programs: one JSON request on standard input, one
//! JSON answer on standard output. The interoperation tests drive it; it shows how the parts are put
//! together.
//!
//! ```sh
//! echo '{"do": "encrypt", "in": "image", "out": "image.enc"}' |
//!     cargo run -p countersign-encryption --example image-crypt
//! ```
//!
//! A director does not print content keys as this does.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, Read as _, Write as _};

use countersign_encryption::{
    ContentKey, Decapsulate, Decryptor, DeviceError, EncryptionError, FileInfo, WrapContext,
    encrypt, unwrap, wrap,
};
use countersign_metadata::uptane::{EcuSerial, EncryptionKey, Vin, WrappedKey};
use countersign_metadata::{Hashes, TargetPath, canonical, json};
use countersign_signing::{DecryptionKey, Secrets};
use serde_json::{Value, json};
use zeroize::Zeroizing;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let request: Value = serde_json::from_reader(std::io::stdin())?;
    let answer = match text(&request, "do")? {
        "encrypt" => encrypt_file(&request),
        "decrypt" => decrypt_file(&request),
        "wrap" => wrap_key(&request),
        "unwrap" => unwrap_key(&request),
        other => Err(format!("cannot {other}").into()),
    };
    let answer = answer.unwrap_or_else(|error| json!({ "error": error.to_string() }));
    println!("{answer}");
    Ok(())
}

fn encrypt_file(request: &Value) -> Outcome<Value> {
    let mut image = BufReader::new(File::open(text(request, "in")?)?);
    let mut out = File::create(text(request, "out")?)?;
    let made = encrypt(&mut image, &mut out)?;
    Ok(json!({
        "key": hex::encode(made.key.expose()),
        "plaintext": described(&made.plaintext)?,
        "ciphertext": described(&made.ciphertext)?,
    }))
}

fn decrypt_file(request: &Value) -> Outcome<Value> {
    let key = content_key(request)?;
    let mut image = File::open(text(request, "in")?)?;
    let mut out = File::create(text(request, "out")?)?;
    let length = request["length"].as_u64().ok_or("no length")?;
    let mut decryptor = Decryptor::new(&key, length)?;
    let mut part = vec![0; 10_000];
    loop {
        let read = image.read(&mut part)?;
        if read == 0 {
            decryptor.finish()?;
            return Ok(json!({}));
        }
        decryptor
            .update::<EncryptionError>(&part[..read], &mut |plain| Ok(out.write_all(plain)?))?;
    }
}

fn wrap_key(request: &Value) -> Outcome<Value> {
    let recipient = EncryptionKey::of(&strict(&request["recipient"])?)?;
    let wrapped = wrap(&content_key(request)?, &recipient, &context(request)?)?;
    loose(&wrapped.to_value())
}

fn unwrap_key(request: &Value) -> Outcome<Value> {
    let wrapped = WrappedKey::of(&strict(&request["wrapped"])?)?;
    // PINs and passphrases come from the environment.
    let key = DecryptionKey::open(
        &text(request, "private")?.parse()?,
        &Secrets::unattended("."),
    )?;
    let content = unwrap(&wrapped, &context(request)?, &EcuKey(key))?;
    Ok(json!({ "key": hex::encode(content.expose()) }))
}

/// A key of `countersign-signing` as this crate wants it.
struct EcuKey(DecryptionKey);

impl Decapsulate for EcuKey {
    fn public_key(&self) -> &EncryptionKey {
        self.0.public_key()
    }

    fn agree(&self, peer: &EncryptionKey) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        Ok(self.0.agree(peer)?)
    }
}

fn context(request: &Value) -> Outcome<WrapContext> {
    let context = &request["context"];
    Ok(WrapContext {
        vin: Vin::new(text(context, "vin")?)?,
        serial: EcuSerial::new(text(context, "serial")?)?,
        filename: TargetPath::new(text(context, "filename")?)?,
        release_counter: context["releaseCounter"].as_u64().ok_or("no counter")?,
        method: text(context, "method")?.into(),
        plaintext: file_info(&context["plaintext"])?,
        ciphertext: file_info(&context["ciphertext"])?,
    })
}

fn file_info(value: &Value) -> Outcome<FileInfo> {
    let hashes = &value["hashes"];
    let (mut sha256, mut sha512) = ([0; 32], [0; 64]);
    hex::decode_to_slice(text(hashes, "sha256")?, &mut sha256)?;
    hex::decode_to_slice(text(hashes, "sha512")?, &mut sha512)?;
    Ok(FileInfo {
        length: value["length"].as_u64().ok_or("no length")?,
        hashes: Hashes {
            sha256: Some(sha256),
            sha512: Some(sha512),
            ..Hashes::default()
        },
    })
}

fn content_key(request: &Value) -> Outcome<ContentKey> {
    let mut key = Zeroizing::new([0; 32]);
    hex::decode_to_slice(text(request, "key")?, &mut *key)?;
    Ok(ContentKey::from_bytes(key))
}

fn described(info: &FileInfo) -> Outcome<Value> {
    Ok(json!({ "length": info.length, "hashes": loose(&info.hashes.to_value())? }))
}

fn text<'a>(value: &'a Value, name: &str) -> Outcome<&'a str> {
    Ok(value[name].as_str().ok_or_else(|| format!("no {name}"))?)
}

fn strict(value: &Value) -> Outcome<json::Value> {
    Ok(json::parse(value.to_string().as_bytes())?)
}

fn loose(value: &json::Value) -> Outcome<Value> {
    Ok(serde_json::from_str(&canonical::to_json(
        &canonical::encode(value),
    ))?)
}
