//! Keys and certificates. P-256 throughout: making one takes microseconds, so that a tenant is made in
//! milliseconds (I1).

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{self, EcdsaKeyPair, KeyPair};
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::{Certificate, TbsCertificate, Version};
use x509_cert::der::asn1::{
    Any, BitString, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString, SetOfVec, UtcTime,
    Utf8StringRef,
};
use x509_cert::der::{self, Decode, Encode};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::time::{Time, Validity};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const EXT_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");
const AUTHORITY_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.35");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

/// A clock may be this far off.
const LEEWAY: i64 = 60;
/// Authorities live ten years.
const AUTHORITY_LIFE: Duration = Duration::from_secs(3_653 * 86_400);

/// A key or certificate cannot be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The key is unusable.
    #[error("key cannot be used")]
    Key,
    /// Encoding or decoding of a certificate failed.
    #[error("certificate cannot be encoded or decoded")]
    Encoding(#[from] der::Error),
    /// A PEM text does not hold what it should.
    #[error("PEM holds no {0}")]
    Pem(&'static str),
}

/// A P-256 key with its private half.
#[derive(Clone)]
pub struct Key {
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl fmt::Debug for Key {
    /// Never the private half (Q27).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// A new key.
    pub fn generate() -> Result<Self, PkiError> {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
                .map_err(|_| PkiError::Key)?;
        Self::from_pkcs8(pkcs8.as_ref())
    }

    /// A stored key.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, PkiError> {
        let pair =
            EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &SystemRandom::new())
                .map_err(|_| PkiError::Key)?;
        Ok(Self { pkcs8: pkcs8.to_vec(), public: pair.public_key().as_ref().to_vec() })
    }

    /// The stored form. Goes into head records and nowhere else (Q28).
    pub fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }

    /// The private half as PEM, for the client that asked for it.
    pub fn to_pem(&self) -> String {
        pem::encode(&pem::Pem::new("PRIVATE KEY", self.pkcs8.clone()))
    }

    /// The public point, uncompressed.
    pub fn public_point(&self) -> &[u8] {
        &self.public
    }

    /// SubjectPublicKeyInfo.
    pub fn spki(&self) -> Result<SubjectPublicKeyInfoOwned, PkiError> {
        let algorithm =
            AlgorithmIdentifierOwned { oid: EC_PUBLIC_KEY, parameters: Some(Any::encode_from(&P256)?) };
        Ok(SubjectPublicKeyInfoOwned { algorithm, subject_public_key: BitString::from_bytes(&self.public)? })
    }

    fn sign(&self, how: &'static signature::EcdsaSigningAlgorithm, data: &[u8]) -> Result<Vec<u8>, PkiError> {
        let random = SystemRandom::new();
        let pair = EcdsaKeyPair::from_pkcs8(how, &self.pkcs8, &random).map_err(|_| PkiError::Key)?;
        let signed = pair.sign(&random, data).map_err(|_| PkiError::Key)?;
        Ok(signed.as_ref().to_vec())
    }

    /// A signature as certificates carry it.
    pub fn sign_asn1(&self, data: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.sign(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, data)
    }

    /// A signature as tokens carry it.
    pub fn sign_fixed(&self, data: &[u8]) -> Result<Vec<u8>, PkiError> {
        self.sign(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, data)
    }
}

/// Who a client certificate names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// CN: the user.
    pub user: String,
    /// O, each: the groups.
    pub groups: Vec<String>,
    /// OU: how the certificate came to be; empty for none.
    pub unit: String,
}

/// What a certificate is for.
enum Purpose<'a> {
    Authority,
    Client,
    Server { names: &'a [String], addresses: &'a [IpAddr] },
}

/// A certificate authority: certificate and key.
#[derive(Clone, Debug)]
pub struct Authority {
    key: Key,
    certificate: Vec<u8>,
    name: Name,
}

/// A certificate below an [`Authority`], with its end.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// DER.
    pub der: Vec<u8>,
    /// End of validity.
    pub not_after: Timestamp,
}

impl Leaf {
    /// PEM.
    pub fn to_pem(&self) -> String {
        certificate_pem(&self.der)
    }
}

/// A certificate as PEM.
pub fn certificate_pem(der: &[u8]) -> String {
    pem::encode(&pem::Pem::new("CERTIFICATE", der))
}

/// The certificates of a PEM bundle.
pub fn certificates_of_pem(text: &[u8]) -> Result<Vec<Vec<u8>>, PkiError> {
    let blocks = pem::parse_many(text).map_err(|_| PkiError::Pem("certificate"))?;
    let found: Vec<Vec<u8>> =
        blocks.into_iter().filter(|b| b.tag() == "CERTIFICATE").map(pem::Pem::into_contents).collect();
    if found.is_empty() { Err(PkiError::Pem("certificate")) } else { Ok(found) }
}

impl Authority {
    /// A new self-signed authority.
    pub fn generate(common_name: &str) -> Result<Self, PkiError> {
        let key = Key::generate()?;
        let name = name_of(&Subject { user: common_name.to_owned(), ..Subject::default() })?;
        let now = Timestamp::now();
        let certificate = build(
            &key,
            &name,
            name.clone(),
            key.spki()?,
            (now, after(now, AUTHORITY_LIFE)),
            &Purpose::Authority,
        )?;
        Ok(Self { key, certificate, name })
    }

    /// A stored authority.
    pub fn from_parts(certificate: &[u8], pkcs8: &[u8]) -> Result<Self, PkiError> {
        let name = Certificate::from_der(certificate)?.tbs_certificate.subject;
        Ok(Self { key: Key::from_pkcs8(pkcs8)?, certificate: certificate.to_vec(), name })
    }

    /// Its certificate.
    pub fn der(&self) -> &[u8] {
        &self.certificate
    }

    /// Its certificate as PEM.
    pub fn to_pem(&self) -> String {
        certificate_pem(&self.certificate)
    }

    /// Its key, to be stored.
    pub fn key(&self) -> &Key {
        &self.key
    }

    fn leaf(
        &self,
        subject: &Subject,
        spki: SubjectPublicKeyInfoOwned,
        life: Duration,
        purpose: &Purpose<'_>,
    ) -> Result<Leaf, PkiError> {
        let now = Timestamp::now();
        let not_after = after(now, life);
        let der = build(&self.key, &self.name, name_of(subject)?, spki, (now, not_after), purpose)?;
        Ok(Leaf { der, not_after })
    }

    /// A client certificate over a key made elsewhere; `spki` is DER.
    pub fn client_over(&self, subject: &Subject, spki: &[u8], life: Duration) -> Result<Leaf, PkiError> {
        self.leaf(subject, SubjectPublicKeyInfoOwned::from_der(spki)?, life, &Purpose::Client)
    }

    /// A client certificate with a key of its own.
    pub fn client(&self, subject: &Subject, life: Duration) -> Result<(Leaf, Key), PkiError> {
        let key = Key::generate()?;
        Ok((self.leaf(subject, key.spki()?, life, &Purpose::Client)?, key))
    }

    /// A serving certificate with a key of its own.
    pub fn server(
        &self,
        common_name: &str,
        names: &[String],
        addresses: &[IpAddr],
        life: Duration,
    ) -> Result<(Leaf, Key), PkiError> {
        let key = Key::generate()?;
        let subject = Subject { user: common_name.to_owned(), ..Subject::default() };
        Ok((self.leaf(&subject, key.spki()?, life, &Purpose::Server { names, addresses })?, key))
    }
}

fn after(from: Timestamp, life: Duration) -> Timestamp {
    Timestamp::from_second(from.as_second().saturating_add_unsigned(life.as_secs())).unwrap_or(Timestamp::MAX)
}

fn name_of(subject: &Subject) -> Result<Name, PkiError> {
    let attribute = |oid, text: &str| -> Result<RelativeDistinguishedName, der::Error> {
        let value = Any::encode_from(&Utf8StringRef::new(text)?)?;
        Ok(RelativeDistinguishedName(SetOfVec::try_from(vec![AttributeTypeAndValue { oid, value }])?))
    };
    let mut parts = Vec::with_capacity(subject.groups.len() + 2);
    for group in &subject.groups {
        parts.push(attribute(ORGANIZATION, group)?);
    }
    if !subject.unit.is_empty() {
        parts.push(attribute(UNIT, &subject.unit)?);
    }
    parts.push(attribute(COMMON_NAME, &subject.user)?);
    Ok(RdnSequence(parts))
}

fn time_of(at: Timestamp) -> Result<Time, PkiError> {
    let since = Duration::from_secs(at.as_second().unsigned_abs());
    // RFC 5280: UTCTime through 2049.
    Ok(match UtcTime::from_unix_duration(since) {
        Ok(utc) => Time::UtcTime(utc),
        Err(_) => Time::GeneralTime(GeneralizedTime::from_unix_duration(since)?),
    })
}

fn serial() -> Result<SerialNumber, PkiError> {
    let mut bytes = [0_u8; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| PkiError::Key)?;
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(SerialNumber::new(&bytes)?)
}

fn key_id(spki: &SubjectPublicKeyInfoOwned) -> Result<OctetString, PkiError> {
    let digest = ring::digest::digest(&ring::digest::SHA256, spki.subject_public_key.raw_bytes());
    Ok(OctetString::new(&digest.as_ref()[..20])?)
}

fn extension(extn_id: ObjectIdentifier, critical: bool, value: &impl Encode) -> Result<Extension, PkiError> {
    Ok(Extension { extn_id, critical, extn_value: OctetString::new(value.to_der()?)? })
}

fn extensions(
    purpose: &Purpose<'_>,
    own_key: &SubjectPublicKeyInfoOwned,
    signer: &Key,
) -> Result<Vec<Extension>, PkiError> {
    let is_authority = matches!(purpose, Purpose::Authority);
    let usage = if is_authority {
        KeyUsages::KeyCertSign | KeyUsages::CRLSign | KeyUsages::DigitalSignature
    } else {
        KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment
    };
    let mut out = vec![
        extension(KEY_USAGE, true, &KeyUsage(usage))?,
        extension(
            BASIC_CONSTRAINTS,
            true,
            &BasicConstraints { ca: is_authority, path_len_constraint: None },
        )?,
    ];
    match purpose {
        Purpose::Authority => {
            out.push(extension(SUBJECT_KEY, false, &SubjectKeyIdentifier(key_id(own_key)?))?)
        }
        Purpose::Client => out.push(extension(EXT_KEY_USAGE, false, &ExtendedKeyUsage(vec![CLIENT_AUTH]))?),
        Purpose::Server { names, addresses } => {
            out.push(extension(EXT_KEY_USAGE, false, &ExtendedKeyUsage(vec![SERVER_AUTH]))?);
            out.push(extension(ALT_NAME, false, &alt_names(names, addresses)?)?);
        }
    }
    if !is_authority {
        let authority = AuthorityKeyIdentifier {
            key_identifier: Some(key_id(&signer.spki()?)?),
            authority_cert_issuer: None,
            authority_cert_serial_number: None,
        };
        out.push(extension(AUTHORITY_KEY, false, &authority)?);
    }
    Ok(out)
}

fn alt_names(names: &[String], addresses: &[IpAddr]) -> Result<SubjectAltName, PkiError> {
    let mut out = Vec::with_capacity(names.len() + addresses.len());
    for name in names {
        out.push(GeneralName::DnsName(Ia5String::new(name)?));
    }
    for address in addresses {
        let bytes = match address {
            IpAddr::V4(v4) => v4.octets().to_vec(),
            IpAddr::V6(v6) => v6.octets().to_vec(),
        };
        out.push(GeneralName::IpAddress(OctetString::new(bytes)?));
    }
    Ok(SubjectAltName(out))
}

fn build(
    signer: &Key,
    issuer: &Name,
    subject: Name,
    spki: SubjectPublicKeyInfoOwned,
    (from, until): (Timestamp, Timestamp),
    purpose: &Purpose<'_>,
) -> Result<Vec<u8>, PkiError> {
    let algorithm = AlgorithmIdentifierOwned { oid: ECDSA_SHA256, parameters: None };
    let since = Timestamp::from_second(from.as_second() - LEEWAY).unwrap_or(from);
    let tbs_certificate = TbsCertificate {
        version: Version::V3,
        serial_number: serial()?,
        signature: algorithm.clone(),
        issuer: issuer.clone(),
        validity: Validity { not_before: time_of(since)?, not_after: time_of(until)? },
        subject,
        extensions: Some(extensions(purpose, &spki, signer)?),
        subject_public_key_info: spki,
        issuer_unique_id: None,
        subject_unique_id: None,
    };
    let signature = BitString::from_bytes(&signer.sign_asn1(&tbs_certificate.to_der()?)?)?;
    Ok(Certificate { tbs_certificate, signature_algorithm: algorithm, signature }.to_der()?)
}
