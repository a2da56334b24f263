//! The errors of calls that wait convert into those of the other calls.

use tollgate::RecvError;
use tollgate::RecvTimeoutError;
use tollgate::RecvUntilError;
use tollgate::SendError;
use tollgate::SendTimeoutError;
use tollgate::SendUntilError;
use tollgate::TryRecvError;
use tollgate::TrySendError;

#[test]
fn closed_channel_is_the_same_for_all_sends() {
    assert_eq!(TrySendError::from(SendError(1)), TrySendError::Closed(1));
    assert_eq!(
        SendTimeoutError::from(SendError(1)),
        SendTimeoutError::Closed(1)
    );
    assert_eq!(
        SendUntilError::<_, ()>::from(SendError(1)),
        SendUntilError::Closed(1)
    );
}

#[test]
fn end_is_the_same_for_all_receives() {
    assert_eq!(TryRecvError::from(RecvError), TryRecvError::Closed);
    assert_eq!(RecvTimeoutError::from(RecvError), RecvTimeoutError::Closed);
    assert_eq!(
        RecvUntilError::<()>::from(RecvError),
        RecvUntilError::Closed
    );
}
