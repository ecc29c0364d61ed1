//! `ordain load`: measures a server and checks afterwards, in SQL, that it kept its promises.
