//! Certificates made for one test, and servers that show them: an authority, and what it vouches for.
//!
//! Writes X.509 (RFC 5280) as DER by hand, as much of it as a server's certificate needs.

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::io::{AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

/// Two-digit years, as certificates have them until 2049.
pub const VALID: (&str, &str) = ("200101000000Z", "491231235959Z");
/// Long ago.
pub const EXPIRED: (&str, &str) = ("200101000000Z", "210101000000Z");

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const BYTES: u8 = 0x04;
const OBJECT: u8 = 0x06;
const TEXT: u8 = 0x0c;
const TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;

const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// One element: its tag, its length, its content.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut out = match content.len() {
        // As short as it can be, or nobody takes it.
        0..0x80 => vec![tag, length[1]],
        0x80..0x100 => vec![tag, 0x81, length[1]],
        _ => vec![tag, 0x82, length[0], length[1]],
    };
    out.extend(content);
    out
}

fn name(text: &str) -> Vec<u8> {
    let pair = der(SEQUENCE, &[&der(OBJECT, &[COMMON_NAME]), &der(TEXT, &[text.as_bytes()])]);
    der(SEQUENCE, &[&der(SET, &[&pair])])
}

fn key() -> (EcdsaKeyPair, Vec<u8>) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random).unwrap();
    (key, pkcs8.as_ref().to_vec())
}

/// Vouches for servers.
pub struct Authority {
    name: String,
    key: EcdsaKeyPair,
    certificate: Vec<u8>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let (key, _) = key();
        let is_authority = der(SEQUENCE, &[&[0x01, 0x01, 0xff]]);
        let names = (name, name);
        let certificate = certificate(&key, &key, names, VALID, BASIC_CONSTRAINTS, &is_authority);
        Self { name: name.into(), key, certificate }
    }

    /// Its certificate, as users have it in a file.
    pub fn pem(&self) -> String {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(&self.certificate);
        let lines: Vec<&str> =
            text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
    }

    /// A server with this name (an address, or a domain), and a certificate that is valid from and to then.
    pub fn server(&self, server: &str, valid: (&str, &str)) -> TlsAcceptor {
        let name = match server.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => der(0x87, &[&address.octets()]),
            Ok(IpAddr::V6(address)) => der(0x87, &[&address.octets()]),
            Err(_) => der(0x82, &[server.as_bytes()]),
        };
        let (own, pkcs8) = key();
        let names = der(SEQUENCE, &[&name]);
        let certificate =
            certificate(&self.key, &own, (&self.name, "server"), valid, ALTERNATIVE_NAMES, &names);
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(certificate)], PrivatePkcs8KeyDer::from(pkcs8).into())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// Takes connections over TLS and passes them on to a plain server; gives the address to connect to.
pub async fn in_front_of(acceptor: TlsAcceptor, plain: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not believe us goes away.
                let Ok(mut client) = acceptor.accept(stream).await else { return };
                let mut server = TcpStream::connect(plain).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    address
}

/// A server that answers whatever it is sent as plain web servers answer to nonsense.
pub async fn not_tls() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
            // Not reset: the client shall read it.
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        }
    });
    address
}

/// A certificate of the authority with the key `issuer` for `subject`, with one extension, which is critical.
fn certificate(
    issuer: &EcdsaKeyPair,
    subject: &EcdsaKeyPair,
    (issuer_name, subject_name): (&str, &str),
    (from, to): (&str, &str),
    extension: &[u8],
    value: &[u8],
) -> Vec<u8> {
    let version = der(0xa0, &[&der(INTEGER, &[&[2]])]);
    let algorithm = der(SEQUENCE, &[&der(OBJECT, &[ECDSA_WITH_SHA256])]);
    let validity = der(SEQUENCE, &[&der(TIME, &[from.as_bytes()]), &der(TIME, &[to.as_bytes()])]);
    let kind = der(SEQUENCE, &[&der(OBJECT, &[EC_PUBLIC_KEY]), &der(OBJECT, &[P256])]);
    let public = der(SEQUENCE, &[&kind, &der(BITS, &[&[0], subject.public_key().as_ref()])]);
    let critical = [0x01, 0x01, 0xff];
    let extension = der(SEQUENCE, &[&der(OBJECT, &[extension]), &critical, &der(BYTES, &[value])]);
    let extensions = der(0xa3, &[&der(SEQUENCE, &[&extension])]);
    let body = der(
        SEQUENCE,
        &[
            &version,
            &der(INTEGER, &[&[1]]),
            &algorithm,
            &name(issuer_name),
            &validity,
            &name(subject_name),
            &public,
            &extensions,
        ],
    );
    let signature = issuer.sign(&SystemRandom::new(), &body).unwrap();
    der(SEQUENCE, &[&body, &algorithm, &der(BITS, &[&[0], signature.as_ref()])])
}
