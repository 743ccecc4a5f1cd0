using System;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock
{
    /// <summary>
    /// Turns a connected socket into TLS in the middle of a conversation. After that the program goes on with the same
    /// Socket, NetworkStream and StreamReader as before.
    /// </summary>
    /// <remarks>
    /// <para>The peer's certificate is verified: chain, name and dates. Only a subclass that overrides
    /// <see cref="ValidateCert"/> decides otherwise.</para>
    /// <para>The TLS state belongs to the Socket: a helper can be disposed or forgotten at any time, and a further one
    /// for the same socket finds it.</para>
    /// <para>A handshake that fails, or cannot be begun, leaves the socket dead: nothing that is sent afterwards leaves in
    /// clear. Only <see cref="DoHandshake(TextReader[])"/> changes nothing when it refuses a reader.</para>
    /// <para>Any thread may call any method. During the handshake no other thread may be inside Receive, Poll or Select
    /// on the socket; asynchronous receives may be pending.</para>
    /// </remarks>
    public class SslHelper : IDisposable
    {
        private static readonly Type[] HookArguments =
        {
            typeof(uint), typeof(IntPtr), typeof(uint), typeof(IntPtr), typeof(uint)
        };

        private readonly Socket socket;
        private readonly SocketState state;

        /// <summary>A certificate hook, as on Windows CE.</summary>
        /// <param name="dwType">1: the certificate is X.509 in DER.</param>
        /// <param name="pvArg">
        /// What was given with the hook. From an SslHelper: the host name in ASCII, ended by NUL.
        /// </param>
        /// <param name="dwChainLen">1: how many certificates there are.</param>
        /// <param name="pCertChain">
        /// The peer's own certificate: a structure with its size in 32 bits and then, aligned, a pointer to it. Valid
        /// during the call only; <see cref="CopyCertificate"/> reads it.
        /// </param>
        /// <param name="dwFlags">1 if anything is wrong: issuer, name, dates or form.</param>
        /// <returns>0 accepts the certificate, whatever is wrong with it; anything else refuses.</returns>
        public delegate int SSLVALIDATECERTFUNC(
            uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags);

        /// <summary>A helper that makes the handshake at once.</summary>
        /// <param name="socket">A connected socket.</param>
        /// <param name="host">The peer's name, DNS or IP literal: its certificate has to be for it.</param>
        /// <exception cref="ArgumentNullException">Something is null.</exception>
        /// <exception cref="InvalidOperationException">
        /// The socket is not connected; the text says what to do.
        /// </exception>
        /// <exception cref="SslSocketException">The handshake has failed.</exception>
        public SslHelper(Socket socket, string host) : this(socket, host, false)
        {
        }

        /// <summary>A helper that makes the handshake later or at once.</summary>
        /// <param name="socket">A socket; it may be connected later if the handshake is deferred.</param>
        /// <param name="host">The peer's name, DNS or IP literal: its certificate has to be for it.</param>
        /// <param name="deferHandshake">
        /// True: the socket stays plain until <see cref="DoHandshake()"/>. False: as for the other constructor. An
        /// override of <see cref="ValidateCert"/> is then called before the subclass's constructor has run.
        /// </param>
        /// <exception cref="ArgumentNullException">Something is null.</exception>
        /// <exception cref="InvalidOperationException">
        /// The socket is not connected, and the handshake is not deferred; or it has been made for another name.
        /// </exception>
        /// <exception cref="SslSocketException">The handshake has failed, or the name is none.</exception>
        public SslHelper(Socket socket, string host, bool deferHandshake)
        {
            this.socket = socket;
            state = SocketState.Of(socket);
            state.Require(host, nameof(host), deferHandshake);
            if (deferHandshake)
            {
                state.Defer(host, Override());
            }
            else
            {
                state.Begin(host, Override());
            }
        }

        /// <summary>A helper for a further connection to the same server, which makes the handshake at once.</summary>
        /// <param name="control">The helper of the first connection: see the other constructor.</param>
        /// <param name="socket">A connected socket.</param>
        public SslHelper(SslHelper control, Socket socket) : this(control, socket, false)
        {
        }

        /// <summary>
        /// A helper for a further connection to the same server, such as a data connection of FTP: it resumes the session
        /// of the first one, has the same name, and what was set on that one's <see cref="SslSocket"/>.
        /// </summary>
        /// <param name="control">
        /// The helper of the first connection, whose handshake has been made. If its class overrides
        /// <see cref="ValidateCert"/>, this one's has to do so too: a hook looks at the connection that it was made for.
        /// </param>
        /// <param name="socket">A socket; it may be connected later if the handshake is deferred.</param>
        /// <param name="deferHandshake">
        /// True: the socket stays plain until <see cref="DoHandshake()"/>. An FTP server begins with TLS when it has
        /// answered 150 to the command: not before that may the handshake be asked for, or it waits for ever.
        /// </param>
        /// <remarks>
        /// If the server does not take the session, a full handshake is made;
        /// <see cref="SslSock.SslSocket.SessionInfo"/> tells, and <see cref="SslFlags.RequireResumption"/> makes that an
        /// error. Read from the first connection before, since it brings new sessions.
        /// </remarks>
        /// <exception cref="ArgumentNullException">Something is null.</exception>
        /// <exception cref="InvalidOperationException">
        /// The first connection has not made its handshake or has a hook, and this one none; or as for the other
        /// constructors. Without deferring the socket is dead.
        /// </exception>
        /// <exception cref="SslSocketException">The handshake has failed.</exception>
        public SslHelper(SslHelper control, Socket socket, bool deferHandshake)
        {
            this.socket = socket;
            state = SocketState.Of(socket);
            state.Require(control, nameof(control), deferHandshake);
            SSLVALIDATECERTFUNC callback = Override();
            SslSocket first = control.state.SslSocket;
            string wrong =
                first == null || !first.IsSecure
                ? "The first connection is not under TLS yet: its DoHandshake() comes before this."
                : callback == null && control.state.HasHook
                ? "The helper of the first connection overrides ValidateCert, and this one does not: its certificate " +
                  "would be judged by other rules. Make a helper of the same class: its constructor passes the first " +
                  "helper on to base(control, socket, deferHandshake)."
                : null;
            if (wrong != null)
            {
                if (!deferHandshake)
                {
                    // A program that passes over it must not go on in clear.
                    state.Kill();
                }
                throw new InvalidOperationException(wrong);
            }
            if (deferHandshake)
            {
                state.Defer(control.state.HostName, callback, first);
            }
            else
            {
                state.Begin(control.state.HostName, callback, first);
            }
        }

        /// <summary>
        /// The peer of the real connection, also after the handshake, when the Socket's own property may be wrong.
        /// </summary>
        /// <exception cref="SocketException">The socket is not connected.</exception>
        public EndPoint RemoteEndPoint
        {
            get { return state.SslSocket == null ? socket.RemoteEndPoint : state.SslSocket.RemoteEndPoint; }
        }

        /// <summary>This side of the real connection, also after the handshake.</summary>
        public EndPoint LocalEndPoint
        {
            get { return state.SslSocket == null ? socket.LocalEndPoint : state.SslSocket.LocalEndPoint; }
        }

        /// <summary>
        /// The library's handle, for settings, session and certificate: see <see cref="SslSock.SslSocket.For"/>.
        /// </summary>
        public SslSocket SslSocket
        {
            get { return state.Open(); }
        }

        /// <summary>Turns the connected socket into TLS, now, and returns when that is done.</summary>
        /// <remarks>
        /// Read the answer to STARTTLS to its end before, and no further; greet the peer again after.
        /// </remarks>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        public void DoHandshake()
        {
            state.Handshake();
        }

        /// <summary><see cref="DoHandshake()"/>, if these readers hold nothing that has come in clear.</summary>
        /// <param name="readers">StreamReaders over a NetworkStream of the socket.</param>
        /// <exception cref="InvalidOperationException">
        /// A reader holds characters that have not been read: they came in clear. Nothing has been done.
        /// </exception>
        /// <exception cref="NotSupportedException">A reader cannot be looked into. Nothing has been done.</exception>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        public void DoHandshake(params TextReader[] readers)
        {
            if (readers == null)
            {
                throw new ArgumentNullException(nameof(readers));
            }
            foreach (TextReader reader in readers)
            {
                UnreadText.Refuse(reader);
            }
            state.Handshake();
        }

        /// <summary><see cref="DoHandshake()"/> of the helper that has been made for a socket.</summary>
        /// <param name="socket">A connected socket.</param>
        /// <exception cref="InvalidOperationException">No helper has been made for it, and it is dead.</exception>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        public static void DoHandshake(Socket socket)
        {
            SocketState.Find(socket).Handshake();
        }

        /// <summary>
        /// <see cref="DoHandshake()"/> on a thread of its own, where the certificate is validated too.
        /// </summary>
        /// <returns>
        /// A task that fails as the method would. It cannot be cancelled; SslTimeout.Handshake bounds it.
        /// </returns>
        public Task DoHandshakeAsync()
        {
            return SslSock.SslSocket.OnThread(() =>
            {
                state.Handshake();
                return SslError.Okay;
            });
        }

        /// <summary><see cref="DoHandshake()"/> without waiting, and so that it can be cancelled.</summary>
        /// <param name="cancellation">Ends the handshake, and with it the connection.</param>
        /// <returns>A task that fails as the method would, or is cancelled.</returns>
        public Task DoHandshakeAsync(CancellationToken cancellation)
        {
            return DoHandshakeAsync(null, cancellation);
        }

        /// <summary>
        /// The same with a certificate hook that may take its time, as for asking a user: no thread waits for it.
        /// </summary>
        /// <param name="validate">
        /// Answers as <see cref="ValidateCert"/>, in whose place it is called: 0 accepts <b>whatever is wrong</b>. See
        /// SslSocket.PerformHandshakeAsync. Null: ValidateCert itself, on a thread of its own.
        /// </param>
        /// <param name="cancellation">Ends the handshake, and with it the connection.</param>
        /// <returns>A task that fails as the method would, or is cancelled.</returns>
        public Task DoHandshakeAsync(
            Func<SslHelper, Task<int>> validate, CancellationToken cancellation = default(CancellationToken))
        {
            return validate == null
                ? state.HandshakeAsync(null, cancellation)
                : state.HandshakeAsync(socket => validate(this), cancellation);
        }

        /// <summary>Connects the socket and makes the handshake.</summary>
        /// <param name="endPoint">Where to.</param>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        /// <exception cref="SocketException">No connection.</exception>
        public void Connect(EndPoint endPoint)
        {
            socket.Connect(endPoint);
            state.Handshake();
        }

        /// <summary>Connects a socket and makes the handshake.</summary>
        /// <param name="socket">A socket that is not connected.</param>
        /// <param name="endPoint">Where to.</param>
        /// <param name="host">The peer's name, DNS or IP literal: its certificate has to be for it.</param>
        /// <returns>The helper.</returns>
        /// <exception cref="SslSocketException">The handshake has failed, and the socket is dead.</exception>
        /// <exception cref="SocketException">No connection.</exception>
        public static SslHelper Connect(Socket socket, EndPoint endPoint, string host)
        {
            var helper = new SslHelper(socket, host, true);
            helper.Connect(endPoint);
            return helper;
        }

        /// <summary>Ends nothing: the TLS state belongs to the Socket, which is closed by its owner.</summary>
        public void Dispose()
        {
        }

        /// <summary>
        /// The certificate hook: an override has the last word on the peer's certificate. Without one the library
        /// decides.
        /// </summary>
        /// <param name="dwType">1: the certificate is X.509 in DER.</param>
        /// <param name="pvArg">The host name in ASCII, ended by NUL; valid as long as the socket.</param>
        /// <param name="dwChainLen">1: how many certificates there are.</param>
        /// <param name="pCertChain">The peer's own certificate: see <see cref="SSLVALIDATECERTFUNC"/>.</param>
        /// <param name="dwFlags">1 if anything is wrong.</param>
        /// <returns>
        /// 0 accepts the certificate, whatever is wrong with it; anything else refuses. Called from an override, this
        /// method gives the library's own verdict: 0, or the <see cref="SslError"/> for what is wrong.
        /// </returns>
        /// <remarks>
        /// Called on the thread that makes the handshake. <see cref="SslSock.SslSocket.VerifyReport"/> has everything that
        /// verification found. An exception refuses the certificate and becomes the InnerException of what the handshake
        /// throws.
        /// </remarks>
        protected virtual int ValidateCert(
            uint dwType, IntPtr pvArg, uint dwChainLen, IntPtr pCertChain, uint dwFlags)
        {
            return OwnVerdict();
        }

        /// <summary>Reads the certificate that a hook gets.</summary>
        /// <param name="pCertChain">The hook's argument of this name, during the hook's call.</param>
        /// <returns>The certificate in DER, a copy.</returns>
        protected static byte[] CopyCertificate(IntPtr pCertChain)
        {
            return NativeChain.ReadOne(pCertChain);
        }

        /// <summary>What the library says about the certificate of the handshake that this thread is making.</summary>
        internal static int OwnVerdict()
        {
            HandshakeScope scope = HandshakeScope.OfThisThread;
            if (scope == null)
            {
                throw new InvalidOperationException("There is a verdict during a handshake only, on its own thread.");
            }
            return (int)scope.Socket.VerifyReport.Error;
        }

        /// <summary>ValidateCert if a subclass has its own: otherwise the library's exact error stands.</summary>
        private SSLVALIDATECERTFUNC Override()
        {
            const BindingFlags Declared =
                BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly;
            for (Type type = GetType(); type != typeof(SslHelper); type = type.BaseType)
            {
                MethodInfo method = type.GetMethod(nameof(ValidateCert), Declared, null, HookArguments, null);
                // Another method of that name may hide it.
                if (method != null && method.GetBaseDefinition().DeclaringType == typeof(SslHelper))
                {
                    return ValidateCert;
                }
            }
            return null;
        }
    }
}
