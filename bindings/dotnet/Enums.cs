using System;

namespace SslSock
{
    /// <summary>The codes of <see cref="SslSocketException.Code"/>, and the answers of a certificate hook.</summary>
    public enum SslError
    {
        /// <summary>Success; from a certificate hook: accept the certificate (Windows CE).</summary>
        Okay = 0,
        /// <summary>Refused without a particular reason (Windows CE).</summary>
        Failed = 2,
        /// <summary>Wrong length (Windows CE).</summary>
        BadLen = 3,
        /// <summary>Not an X.509 certificate (Windows CE).</summary>
        BadType = 4,
        /// <summary>The certificate, PEM file or key cannot be read as such (Windows CE).</summary>
        BadData = 5,
        /// <summary>There is no certificate where one is needed (Windows CE).</summary>
        NoCert = 6,
        /// <summary>A signature is wrong (Windows CE).</summary>
        BadSig = 7,
        /// <summary>The certificate, or one above it, has expired (Windows CE).</summary>
        CertExpired = 8,
        /// <summary>The certificate has been revoked (Windows CE).</summary>
        CertRevoked = 9,
        /// <summary>The issuer is not trusted, or the certificate is of no use here (Windows CE).</summary>
        CertUnknown = 10,
        /// <summary>Signature, as a hook's answer (Windows CE).</summary>
        Signature = 11,
        /// <summary>The handle is not live.</summary>
        BadHandle = 100,
        /// <summary>An argument is wrong; nothing was changed.</summary>
        Invalid = 101,
        /// <summary>Not now: the call does not fit what has happened on this socket so far.</summary>
        State = 102,
        /// <summary>No peer name: without it any certificate would do.</summary>
        NoName = 103,
        /// <summary>Not supported, and ignoring it would be unsafe.</summary>
        Unsupported = 104,
        /// <summary>Called from inside the certificate hook of the same socket.</summary>
        Reentrant = 105,
        /// <summary>The buffer is too small.</summary>
        Buffer = 106,
        /// <summary>The handle was made before a fork and belongs to the parent process.</summary>
        Forked = 107,
        /// <summary>Would block: call again when the socket can be read.</summary>
        WantRead = 110,
        /// <summary>Would block: call again when the socket can be written.</summary>
        WantWrite = 111,
        /// <summary>The certificate awaits the program's decision.</summary>
        WantValidation = 112,
        /// <summary>A time limit ran out.</summary>
        Timeout = 113,
        /// <summary>The handshake was cancelled: see <see cref="SslSocket.CancelHandshake"/>.</summary>
        Cancelled = 114,
        /// <summary>A system call failed: see <see cref="SslSocketException.SystemError"/>.</summary>
        Io = 120,
        /// <summary>The peer reset the connection.</summary>
        Reset = 121,
        /// <summary>The connection ended without close_notify: data may be missing.</summary>
        Truncated = 122,
        /// <summary>The peer speaks plaintext; the text quotes it.</summary>
        NotTls = 123,
        /// <summary>
        /// Plaintext was queued before the handshake began: STARTTLS injection, or an answer not read.
        /// </summary>
        EarlyData = 124,
        /// <summary>The peer broke the TLS protocol, or has nothing in common with this side.</summary>
        Protocol = 130,
        /// <summary>The peer sent a TLS alert: see <see cref="SslSocketException.TlsAlert"/>.</summary>
        Alert = 131,
        /// <summary>
        /// No earlier session was resumed although <see cref="SslFlags.RequireResumption"/> is set.
        /// </summary>
        NotResumed = 132,
        /// <summary>The certificate is for other names.</summary>
        Name = 140,
        /// <summary>The certificate is not valid yet.</summary>
        NotYetValid = 141,
        /// <summary>The certificate's key is none of those that were pinned; the text has the actual pin.</summary>
        Pin = 142,
        /// <summary>A mistake inside the library.</summary>
        Internal = 199
    }

    /// <summary>What kind of error it is: what to do can be decided by this.</summary>
    public enum SslErrorCategory
    {
        /// <summary>No error.</summary>
        None = 0,
        /// <summary>The peer's certificate, or the one of this side.</summary>
        Certificate = 1,
        /// <summary>The program called the library wrongly.</summary>
        Usage = 2,
        /// <summary>Nothing is wrong: try again when the socket is ready.</summary>
        WouldBlock = 3,
        /// <summary>The network or the system.</summary>
        Io = 4,
        /// <summary>The peer does not do what a TLS peer does at this point.</summary>
        Peer = 5,
        /// <summary>TLS itself.</summary>
        Protocol = 6,
        /// <summary>A bug of the library.</summary>
        Internal = 7
    }

    /// <summary>Settings of a socket.</summary>
    [Flags]
    public enum SslFlags
    {
        /// <summary>A client in transparent mode.</summary>
        None = 0,
        /// <summary>The server role (Windows CE).</summary>
        Server = 2,
        /// <summary>
        /// Server: demand a client certificate (Windows CE). Whom to believe has to be said: by trust or by a hook.
        /// </summary>
        AuthClient = 4,
        /// <summary>The socket stays plain until the handshake is asked for (Windows CE).</summary>
        DeferHandshake = 8,
        /// <summary>Leave the descriptor alone: data goes through SslSocket.Send and Receive only.</summary>
        ExplicitIo = 65536,
        /// <summary>
        /// The handshake answers WantRead, WantWrite or, if the certificate hook has answered that, WantValidation rather
        /// than wait.
        /// </summary>
        NonBlocking = 131072,
        /// <summary>The certificate hook can refuse, but not accept what verification found wrong.</summary>
        Strict = 262144,
        /// <summary>The end of the connection without close_notify is a normal end of file.</summary>
        AllowTruncation = 524288,
        /// <summary>Transparent mode: use an AF_UNIX pair, which is cheaper but no TCP socket.</summary>
        UnixPair = 1048576,
        /// <summary>Client: the handshake fails with NotResumed unless it resumes an earlier session.</summary>
        RequireResumption = 2097152,
        /// <summary>Neither offer nor keep sessions; a server gives out no tickets.</summary>
        NoResumption = 4194304,
        /// <summary>
        /// Server: ask for a client certificate, but let in who has none. One that is shown is verified.
        /// </summary>
        AskClient = 8388608,
        /// <summary>Offer no post-quantum key exchange, for peers that choke on a large ClientHello.</summary>
        NoPostQuantum = 16777216,
        /// <summary>
        /// The program promises that nothing else in the process refers to the connection or watches it, so that
        /// nothing is looked for. Not for a System.Net.Sockets.Socket that has been used asynchronously.
        /// </summary>
        SoleDescriptor = 33554432
    }

    /// <summary>Which time limit.</summary>
    public enum SslTimeout
    {
        /// <summary>The whole handshake, without the time spent in the certificate hook; 30 s by default.</summary>
        Handshake = 1,
        /// <summary>Waiting for the peer's last words when a connection is closed; 5 s by default.</summary>
        Close = 2
    }

    /// <summary>A version of TLS, with its number on the wire.</summary>
    public enum TlsVersion
    {
        /// <summary>TLS 1.2.</summary>
        Tls12 = 0x0303,
        /// <summary>TLS 1.3.</summary>
        Tls13 = 0x0304
    }

    /// <summary>
    /// How something is to be signed: the signature scheme of RFC 8446, section 4.2.3. There may be others than these.
    /// </summary>
    public enum SslSignatureScheme
    {
        /// <summary>RSASSA-PKCS1-v1_5 with SHA-256 (TLS 1.2 alone).</summary>
        RsaPkcs1Sha256 = 0x0401,
        /// <summary>RSASSA-PKCS1-v1_5 with SHA-384 (TLS 1.2 alone).</summary>
        RsaPkcs1Sha384 = 0x0501,
        /// <summary>RSASSA-PKCS1-v1_5 with SHA-512 (TLS 1.2 alone).</summary>
        RsaPkcs1Sha512 = 0x0601,
        /// <summary>ECDSA with P-256 and SHA-256.</summary>
        EcdsaSecp256r1Sha256 = 0x0403,
        /// <summary>ECDSA with P-384 and SHA-384.</summary>
        EcdsaSecp384r1Sha384 = 0x0503,
        /// <summary>ECDSA with P-521 and SHA-512.</summary>
        EcdsaSecp521r1Sha512 = 0x0603,
        /// <summary>RSASSA-PSS with SHA-256, a salt as long as the hash.</summary>
        RsaPssRsaeSha256 = 0x0804,
        /// <summary>RSASSA-PSS with SHA-384, a salt as long as the hash.</summary>
        RsaPssRsaeSha384 = 0x0805,
        /// <summary>RSASSA-PSS with SHA-512, a salt as long as the hash.</summary>
        RsaPssRsaeSha512 = 0x0806,
        /// <summary>Ed25519.</summary>
        Ed25519 = 0x0807
    }

    /// <summary>How the data travels between the program and the library.</summary>
    public enum SslDataPath
    {
        /// <summary>Transparent, the program's end is a loopback TCP socket.</summary>
        TransparentTcp = 1,
        /// <summary>Transparent, the program's end is an AF_UNIX socket.</summary>
        TransparentUnix = 2,
        /// <summary>SslSocket.Send and Receive do the TLS on the program's thread.</summary>
        Explicit = 3
    }

    /// <summary>What became of the peer's certificate.</summary>
    public enum SslVerdict
    {
        /// <summary>No certificate has been seen.</summary>
        NotAvailable = 0,
        /// <summary>Everything is in order.</summary>
        Trusted = 1,
        /// <summary>Something is wrong, and the handshake failed because of it.</summary>
        NotTrusted = 2,
        /// <summary>Something is wrong, and the hook accepted it.</summary>
        AcceptedByHook = 3
    }

    /// <summary>What is wrong with the peer's certificate: everything at once.</summary>
    [Flags]
    public enum SslCauses
    {
        /// <summary>Nothing.</summary>
        None = 0,
        /// <summary>The issuer is not trusted, or the chain does not lead to one that is.</summary>
        IssuerUnknown = 1,
        /// <summary>The certificate is for other names.</summary>
        Name = 2,
        /// <summary>Expired.</summary>
        Expired = 4,
        /// <summary>Not valid yet.</summary>
        NotYetValid = 8,
        /// <summary>Revoked.</summary>
        Revoked = 16,
        /// <summary>Not for this role, or a CA certificate used as an end entity's.</summary>
        Usage = 32,
        /// <summary>A signature in the chain is wrong.</summary>
        Signature = 64,
        /// <summary>A key or signature algorithm that is not accepted. A hook cannot accept it either.</summary>
        WeakKey = 128,
        /// <summary>Not a certificate that can be verified, such as X.509 version 1.</summary>
        Malformed = 256,
        /// <summary>The key is none of those that were pinned. A hook cannot accept that.</summary>
        Pin = 512,
        /// <summary>
        /// Revocation lists were given, and they do not say whether the certificate has been revoked: there is none of
        /// its issuer, or it is out of date.
        /// </summary>
        RevocationUnknown = 1024
    }

    /// <summary>Which text about the peer's certificate.</summary>
    public enum SslVerifyText
    {
        /// <summary>The name that was asked for.</summary>
        Expected = 1,
        /// <summary>The names that the certificate is for, one per index.</summary>
        Presented = 2,
        /// <summary>The subject, as "CN=..., O=...".</summary>
        Subject = 3,
        /// <summary>The issuer, in the same form.</summary>
        Issuer = 4,
        /// <summary>All that is wrong, as one text; empty if nothing is.</summary>
        Summary = 5
    }

    /// <summary>How much is logged: a level and those above it.</summary>
    public enum SslLogLevel
    {
        /// <summary>Logging off.</summary>
        Off = 0,
        /// <summary>Failed handshakes.</summary>
        Error = 1,
        /// <summary>Certificates accepted by a hook despite what verification found.</summary>
        Warning = 2,
        /// <summary>Established sessions.</summary>
        Info = 3,
        /// <summary>What a program says with OutputDebugString and RETAILMSG (Windows CE).</summary>
        Debug = 4
    }

    /// <summary>Flags of <see cref="SslSocket.Send"/> and <see cref="SslSocket.Receive"/>: Linux's MSG_*.</summary>
    [Flags]
    public enum SslMessageFlags
    {
        /// <summary>Nothing in particular.</summary>
        None = 0,
        /// <summary>Receive only: leave the bytes where they are.</summary>
        Peek = 0x2,
        /// <summary>Do not wait.</summary>
        DontWait = 0x40,
        /// <summary>Receive only: wait until the whole buffer is full.</summary>
        WaitAll = 0x100,
        /// <summary>Send only. It is accepted for likeness: no call raises SIGPIPE.</summary>
        NoSignal = 0x4000
    }
}
