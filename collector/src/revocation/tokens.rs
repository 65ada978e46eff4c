//! What is still being answered to a token, so that it ends when the token does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::store::{Pool, Stamp, StoreError, tokens};

/// The tokens to whose holders something is still being sent: tails, searches that stream.
#[derive(Debug, Default)]
pub struct LiveTokens {
    live: Mutex<HashMap<Uuid, Live>>,
}

#[derive(Debug, Default)]
struct Live {
    n_answers: usize,
    ended: CancellationToken,
}

/// An answer that goes on; dropped when it is over.
#[derive(Debug)]
pub struct Answering {
    token: Uuid,
    ended: CancellationToken,
    tokens: Arc<LiveTokens>,
}

impl LiveTokens {
    /// Notes an answer to the holder of this token.
    pub fn answering(self: &Arc<Self>, token: Uuid) -> Answering {
        let mut all = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        let live = all.entry(token).or_default();
        live.n_answers += 1;
        Answering { token, ended: live.ended.clone(), tokens: Arc::clone(self) }
    }

    /// Learns that a token was revoked: what is being answered to it ends.
    pub fn cut(&self, token: Uuid) {
        // Taken out: whoever still gets in with it, having been let in a moment before, is found by the next round.
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner).remove(&token);
        if let Some(live) = live {
            live.ended.cancel();
            tracing::info!(%token, n_cut = live.n_answers, "token {token} has ended, cut {} answers", live.n_answers);
        }
    }

    /// Asks the store which of the tokens are still valid, and cuts the others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn refresh(&self, pool: &Pool, now: Stamp) -> Result<(), StoreError> {
        let live: Vec<Uuid> =
            self.live.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect();
        if live.is_empty() {
            return Ok(());
        }
        let valid = tokens::valid(pool, &live, now).await?;
        live.into_iter().filter(|token| !valid.contains(token)).for_each(|token| self.cut(token));
        Ok(())
    }
}

impl Answering {
    /// Returns when the token has been revoked or has expired.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    /// Whether it has.
    pub fn has_ended(&self) -> bool {
        self.ended.is_cancelled()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut all = self.tokens.live.lock().unwrap_or_else(PoisonError::into_inner);
        // Not one that came after a cut.
        let same = |live: &&mut Live| !self.ended.is_cancelled() || live.ended.is_cancelled();
        if let Some(live) = all.get_mut(&self.token).filter(same) {
            live.n_answers -= 1;
            if live.n_answers == 0 {
                all.remove(&self.token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn only_what_is_answered_to_that_token_ends() {
        let tokens = Arc::new(LiveTokens::default());
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let (first, second, other) = (tokens.answering(a), tokens.answering(a), tokens.answering(b));
        assert!(first.ended().now_or_never().is_none());
        tokens.cut(a);
        assert!(first.ended().now_or_never().is_some() && second.ended().now_or_never().is_some());
        assert!(other.ended().now_or_never().is_none());

        let late = tokens.answering(a);
        drop((first, second));
        tokens.cut(a);
        assert!(late.ended().now_or_never().is_some(), "it was counted although others of the token ended");
        drop((late, other));
        assert!(tokens.live.lock().unwrap_or_else(PoisonError::into_inner).is_empty());
    }
}
