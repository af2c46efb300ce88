//! Which form an answer takes: content negotiation (N2-N5).

use crate::model::status::ApiStatus;

/// Media types an answer can have.
pub const ACCEPTED: &str = "application/json, application/yaml";

/// How an object or list is projected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Object,
    /// `meta.k8s.io` Table of that version.
    Table(&'static str),
    /// PartialObjectMetadata of that version.
    Partial(&'static str),
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// JSON, one line.
    Json,
    /// JSON, indented.
    Pretty,
    /// YAML.
    Yaml,
}

/// The negotiated answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// Projection.
    pub form: Form,
    /// Encoding.
    pub encoding: Encoding,
    /// The client takes gzip.
    pub gzip: bool,
}

struct Entry<'a> {
    media: &'a str,
    params: Vec<(&'a str, &'a str)>,
    quality: u32,
}

fn entries(accept: &str) -> Vec<Entry<'_>> {
    let mut out: Vec<Entry<'_>> = accept
        .split(',')
        .filter(|e| !e.trim().is_empty())
        .map(|entry| {
            let mut parts = entry.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let params: Vec<_> = parts.filter_map(|p| p.split_once('=')).collect();
            let quality = params
                .iter()
                .find(|(k, _)| *k == "q")
                .and_then(|(_, v)| v.parse::<f64>().ok())
                .map_or(1000, |q| (q * 1000.0) as u32);
            Entry { media, params, quality }
        })
        .collect();
    out.sort_by_key(|e| std::cmp::Reverse(e.quality));
    out
}

fn form_of(entry: &Entry<'_>) -> Option<Form> {
    let param = |key: &str| entry.params.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    let version = match param("v") {
        Some("v1beta1") => "v1beta1",
        _ => "v1",
    };
    match (param("as"), param("g")) {
        (None, _) => Some(Form::Object),
        (Some("Table"), Some("meta.k8s.io")) => Some(Form::Table(version)),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("meta.k8s.io")) => {
            Some(Form::Partial(version))
        }
        _ => None,
    }
}

impl Accept {
    /// Plain JSON.
    pub const JSON: Self = Self { form: Form::Object, encoding: Encoding::Json, gzip: false };

    /// Negotiates from the request's headers and the `pretty` parameter. Nothing acceptable is a 406.
    pub fn negotiate(headers: &http::HeaderMap, pretty: Option<bool>) -> Result<Self, ApiStatus> {
        let text =
            |name: http::HeaderName| headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let gzip = text(http::header::ACCEPT_ENCODING).split(',').any(|e| e.trim().starts_with("gzip"));
        let agent = text(http::header::USER_AGENT);
        let pretty = pretty.unwrap_or_else(|| agent.starts_with("curl/") || agent.starts_with("Wget/"));
        let json = if pretty { Encoding::Pretty } else { Encoding::Json };
        let accept = text(http::header::ACCEPT);
        if accept.is_empty() {
            return Ok(Self { form: Form::Object, encoding: json, gzip });
        }
        entries(accept)
            .iter()
            .find_map(|entry| {
                let encoding = match entry.media {
                    "application/json" | "application/*" | "*/*" => json,
                    "application/yaml" => Encoding::Yaml,
                    _ => return None,
                };
                form_of(entry).map(|form| Self { form, encoding, gzip })
            })
            .ok_or_else(|| ApiStatus::not_acceptable(ACCEPTED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, want: Option<(Form, Encoding)>) {
        let mut headers = http::HeaderMap::new();
        headers.insert(http::header::ACCEPT, accept.parse().unwrap());
        let got = Accept::negotiate(&headers, None).ok().map(|a| (a.form, a.encoding));
        assert_eq!(got, want, "{accept}");
    }

    #[test]
    fn the_first_form_that_can_be_had_wins() {
        check("application/json", Some((Form::Object, Encoding::Json)));
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            Some((Form::Table("v1"), Encoding::Json)),
        );
        check("application/vnd.kubernetes.protobuf,application/json", Some((Form::Object, Encoding::Json)));
        check("application/json;as=Other;g=x;v=v1, */*", Some((Form::Object, Encoding::Json)));
        check("application/json;q=0.1,application/yaml", Some((Form::Object, Encoding::Yaml)));
        check("application/vnd.kubernetes.protobuf", None);
    }
}
