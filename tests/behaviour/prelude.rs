//! The prelude, imported by a glob.

use std::rc::Rc;

use tollgate::prelude::*;

/// `Send` is the trait here, not the future of that name.
fn needs_trait<T: Send>(_: &T) {}

#[test]
fn glob_import_hides_no_trait() {
    let (sender, receiver) = bounded::<u8>(1);
    needs_trait(&(sender, receiver));
    let (sender, receiver) = tasks::<u8>(1);
    needs_trait(&(sender.monitor(), sender, receiver));
    needs_trait(&(unbounded::<u8>(), unbounded_tasks::<u8>()));
    let (_sender, _receiver) = Builder::new().capacity(1).build::<Rc<u8>>();
}

#[test]
fn every_handle_is_in_prelude() {
    fn named<T>() {}
    named::<(Sender<u8>, Receiver<u8>, TaskReceiver<u8>, Monitor<u8>)>();
    named::<(Task<u8>, Ticket, Abandon)>();
    named::<(WeakSender<u8>, WeakReceiver<u8>)>();
}
