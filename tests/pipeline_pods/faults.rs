//! A wire between a syncer and an API server that does what a test asks of it: goes down, loses answers, says no, tells
//! something else than the server did. It remembers what passed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use http::{Method, Request, Response, Uri};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use kube::client::Body;
use parking_lot::{Mutex, RwLock};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::BoxError;

/// What becomes of a request.
pub enum Fate {
    /// It arrives, and so does its answer.
    Pass,
    /// It does not arrive.
    Down,
    /// It arrives; its answer does not.
    Lost,
    /// The server is not asked, and this code and message come back.
    Says(u16, String),
    /// Something before the server answers with this code, and knows nothing of what it means.
    Page(u16),
}

/// A request as it was made.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Code of the answer; 0 where none came.
    pub code: u16,
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            code: 0,
        }
    }

    pub fn is_write(&self) -> bool {
        self.method != Method::GET.as_str() && !self.query.contains("dryRun")
    }

    pub fn is_watch(&self) -> bool {
        self.query.contains("watch=true")
    }
}

type Rule = Arc<dyn Fn(&Asked) -> Fate + Send + Sync>;
type Edit = Arc<dyn Fn(&Asked, String) -> Option<String> + Send + Sync>;
type Turn = Arc<dyn Fn(String) -> String + Send + Sync>;
type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// The wire.
#[derive(Default)]
pub struct Line {
    rule: RwLock<Option<Rule>>,
    edit: RwLock<Option<Edit>>,
    turn: RwLock<Option<Turn>>,
    cut: watch::Sender<u64>,
    asked: Mutex<Vec<Asked>>,
    open: Arc<AtomicUsize>,
}

struct Count(Arc<AtomicUsize>);

impl Drop for Count {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Line {
    /// What becomes of requests from now on.
    pub fn rule(&self, rule: impl Fn(&Asked) -> Fate + Send + Sync + 'static) {
        *self.rule.write() = Some(Arc::new(rule));
    }

    /// What is made of answers, and of each line of a stream; `None` drops the line.
    pub fn edit(&self, edit: impl Fn(&Asked, String) -> Option<String> + Send + Sync + 'static) {
        *self.edit.write() = Some(Arc::new(edit));
    }

    /// What is made of the query of each request.
    pub fn turn(&self, turn: impl Fn(String) -> String + Send + Sync + 'static) {
        *self.turn.write() = Some(Arc::new(turn));
    }

    /// Nothing passes, and open streams break.
    pub fn down(&self) {
        self.rule(|_| Fate::Down);
        self.cut();
    }

    /// All is as it should be again.
    pub fn up(&self) {
        *self.rule.write() = None;
        *self.edit.write() = None;
        *self.turn.write() = None;
    }

    /// Breaks the streams that are open.
    pub fn cut(&self) {
        self.cut.send_modify(|n| *n += 1);
    }

    /// Streams that are open.
    pub fn streams(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// What was asked, and forgets it.
    pub fn taken(&self) -> Vec<Asked> {
        std::mem::take(&mut self.asked.lock())
    }

    /// What was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    /// A client through this wire.
    pub fn client(self: &Arc<Self>, inner: kube::Client) -> kube::Client {
        let line = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (line, inner) = (line.clone(), inner.clone());
            async move { line.send(inner, request).await }
        });
        kube::Client::new(service, "default")
    }

    async fn send(
        self: Arc<Self>,
        inner: kube::Client,
        mut request: Request<Body>,
    ) -> Result<Answer, BoxError> {
        let mut asked = Asked::of(&request);
        let rule = self.rule.read().clone();
        let fate = rule.map_or(Fate::Pass, |rule| rule(&asked));
        if let (Some(turn), false) = (self.turn.read().clone(), asked.query.is_empty()) {
            *request.uri_mut() = format!("{}?{}", asked.path, turn(asked.query.clone())).parse::<Uri>()?;
        }
        let result = match fate {
            Fate::Down => Err(BoxError::from("the wire is down")),
            Fate::Says(code, message) => said(code, &message),
            Fate::Page(code) => {
                Ok(Response::builder().status(code).body(full("<html>sorry</html>".into()))?)
            }
            Fate::Pass => inner.send(request).await.map_err(BoxError::from).map(boxed),
            Fate::Lost => {
                let answer = inner.send(request).await?;
                answer.into_body().collect().await?;
                Err(BoxError::from("the answer is lost"))
            }
        };
        asked.code = result.as_ref().map_or(0, |answer| answer.status().as_u16());
        self.asked.lock().push(asked.clone());
        let answer = result?;
        if asked.is_watch() && answer.status().is_success() {
            return Ok(self.stream(asked, answer));
        }
        let edit = self.edit.read().clone();
        match edit.filter(|_| answer.status().is_success()) {
            None => Ok(answer),
            Some(edit) => {
                let (parts, body) = answer.into_parts();
                let text = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
                let text = edit(&asked, text).unwrap_or_default();
                Ok(Response::from_parts(parts, full(text.into())))
            }
        }
    }

    /// A stream line by line, which breaks when the wire is cut.
    fn stream(self: Arc<Self>, asked: Asked, answer: Answer) -> Answer {
        self.open.fetch_add(1, Ordering::SeqCst);
        let (parts, body) = answer.into_parts();
        let mut cut = self.cut.subscribe();
        cut.mark_unchanged();
        let state = (self.clone(), Count(self.open.clone()), body, BytesMut::new(), cut);
        let frames = stream::unfold(Some(state), move |state| {
            let asked = asked.clone();
            async move {
                let (line, count, mut body, mut buffer, mut cut) = state?;
                loop {
                    if let Some(at) = buffer.iter().position(|b| *b == b'\n') {
                        let text = String::from_utf8_lossy(&buffer.split_to(at + 1)).into_owned();
                        let edit = line.edit.read().clone();
                        let text = edit.map_or(Some(text.clone()), |edit| edit(&asked, text));
                        let Some(text) = text else { continue };
                        let frame = Frame::data(Bytes::from(text));
                        return Some((Ok(frame), Some((line, count, body, buffer, cut))));
                    }
                    let next = tokio::select! {
                        _ = cut.changed() => return Some((Err(BoxError::from("the stream broke")), None)),
                        next = body.frame() => next,
                    };
                    match next? {
                        Ok(frame) => drop(frame.into_data().map(|data| buffer.extend_from_slice(&data))),
                        Err(error) => return Some((Err(error), None)),
                    }
                }
            }
        });
        Response::from_parts(parts, UnsyncBoxBody::new(StreamBody::new(frames.boxed())))
    }
}

fn full(bytes: Bytes) -> UnsyncBoxBody<Bytes, BoxError> {
    UnsyncBoxBody::new(http_body_util::Full::new(bytes).map_err(|never| match never {}))
}

fn boxed(answer: Response<Body>) -> Answer {
    answer.map(|body| UnsyncBoxBody::new(body.map_err(BoxError::from)))
}

fn said(code: u16, message: &str) -> Result<Answer, BoxError> {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        410 => "Expired",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status: Value = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code,
        "reason": reason, "message": message});
    Ok(Response::builder().status(code).body(full(serde_json::to_vec(&status)?.into()))?)
}
