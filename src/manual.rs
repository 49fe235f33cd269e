//! The chapters of `docs/`, each for one reader. Documentation only.
//!
//! A chapter links to another by its name (`[attacks]`). Of several definitions of a name the first counts: here that
//! is the module, and in the file alone it is the file.

macro_rules! chapters {
    ($($chapter:ident: $file:literal)*) => {$(
        #[doc = "[architecture]: self::architecture\n[attacks]: self::attacks\n[clients]: self::clients"]
        #[doc = "[errors]: self::errors\n[interop]: self::interop\n[keyring]: self::keyring"]
        #[doc = "[operations]: self::operations\n[performance]: self::performance\n[runbook]: self::runbook"]
        #[doc = "[rehearsal]: self::rehearsal\n[security]: self::security\n"]
        #[doc = include_str!($file)]
        pub mod $chapter {}
    )*};
}

chapters! {
    architecture: "../docs/architecture.md"
    attacks: "../docs/attacks.md"
    clients: "../docs/clients.md"
    clients_dotnet: "../docs/clients-dotnet.md"
    clients_php: "../docs/clients-php.md"
    errors: "../docs/errors.md"
    interop: "../docs/interop.md"
    keyring: "../docs/keyring.md"
    operations: "../docs/operations.md"
    performance: "../docs/performance.md"
    rehearsal: "../docs/rehearsal.md"
    runbook: "../docs/runbook.md"
    security: "../docs/security.md"
}
