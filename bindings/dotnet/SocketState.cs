using System;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;

namespace SslSock
{
    /// <summary>A socket that makes the handshake when it connects, as those of Windows CE did.</summary>
    internal interface IImmediateSocket
    {
        /// <summary>
        /// The socket is not connected. As soon as it is, and before anybody can use it, it has to call the state's
        /// Handshake.
        /// </summary>
        void Secure(SocketState state);
    }

    /// <summary>
    /// What belongs to a Socket and lives as long as it does, whatever becomes of the helpers made for it.
    /// </summary>
    internal sealed class SocketState
    {
        private static readonly ConditionalWeakTable<Socket, SocketState> States =
            new ConditionalWeakTable<Socket, SocketState>();

        private const int SHUT_RDWR = 2;

        private readonly object changes = new object();
        private readonly Socket socket;
        private SslSocket sslSocket;
        private AsciiHost host;
        private SslHelper.SSLVALIDATECERTFUNC hook;
        private SslSocket control;
        private bool isConfigured;
        private bool isHooked;
        private bool hasTakenOver;
        private bool isHeld;
        private int upgrading;

        private SocketState(Socket socket)
        {
            this.socket = socket;
        }

        /// <summary>The handle, if there is one already.</summary>
        internal SslSocket SslSocket
        {
            get { return sslSocket; }
        }

        /// <summary>The state of a socket, made if there is none.</summary>
        internal static SocketState Of(Socket socket)
        {
            if (socket == null)
            {
                throw new ArgumentNullException(nameof(socket));
            }
            return States.GetValue(socket, key => new SocketState(key));
        }

        /// <summary>
        /// The state of a socket for which a helper has been made, for its handshake. Without a helper the socket is
        /// dead, as after a handshake that has failed.
        /// </summary>
        internal static SocketState Find(Socket socket)
        {
            SocketState state = Of(socket);
            if (!state.isConfigured && !state.IsSecure)
            {
                state.Kill();
                throw new InvalidOperationException(
                    "No SslHelper has been made for this socket: new SslHelper(socket, host, true) says whose " +
                    "certificate is expected.");
            }
            return state;
        }

        /// <summary>What has to be there for any helper. Without it nothing leaves in clear, unless that is asked for.</summary>
        internal void Require(object argument, string parameter, bool deferHandshake)
        {
            try
            {
                if (argument == null)
                {
                    throw new ArgumentNullException(parameter);
                }
                // A library that is not there is better noticed now than after STARTTLS.
                NativeLoader.Load();
            }
            catch (Exception) when (!deferHandshake)
            {
                Kill();
                throw;
            }
        }

        /// <summary>
        /// What a helper says; a later one says it anew. Without a name there has to be a callback, which then has all
        /// the say, unless the program has set SslSocket.PeerName. The session is the handle of the connection whose
        /// settings and session this one is to have, or null.
        /// </summary>
        internal void Configure(string name, SslHelper.SSLVALIDATECERTFUNC callback, SslSocket session = null)
        {
            lock (changes)
            {
                if (IsSecure)
                {
                    CheckName(name);
                    return;
                }
                ThrowIfClosed(socket);
                if (IsOpen && sslSocket.HasBegun)
                {
                    throw SslSocketException.Of(
                        SslError.State,
                        "a handshake with this socket has begun already, or has failed: a new one needs a new " +
                        "connection.");
                }
                host = name == null ? null : new AsciiHost(name);
                hook = callback;
                hasTakenOver &= session == control;
                control = session;
                isConfigured = true;
                // .NET does not connect a socket to a name with several addresses when somebody has asked for its
                // descriptor, so one that is not connected has its handle later.
                if (socket.Connected || IsOpen)
                {
                    Prepare(Open());
                }
            }
        }

        /// <summary>
        /// The same for a handshake that is made later: lets a socket go that <see cref="Begin"/> has held.
        /// </summary>
        internal void Defer(string name, SslHelper.SSLVALIDATECERTFUNC callback, SslSocket session = null)
        {
            lock (changes)
            {
                Configure(name, callback, session);
                if (isHeld)
                {
                    sslSocket.Flags |= SslFlags.DeferHandshake;
                    isHeld = false;
                }
            }
        }

        /// <summary>The same, and the handshake at once, or as soon as a socket for that connects.</summary>
        internal void Begin(string name, SslHelper.SSLVALIDATECERTFUNC callback, SslSocket session = null)
        {
            ThrowIfClosed(socket);
            var immediate = socket as IImmediateSocket;
            bool isConnected = socket.Connected;
            if (!isConnected && immediate == null)
            {
                Hold();
                throw new InvalidOperationException(
                    "The socket is not connected, and .NET does not let a helper take part in its Connect. Choose one: " +
                    "new SslHelper(socket, host, true), connect, then DoHandshake(); or " +
                    "SslHelper.Connect(socket, endPoint, host); or, to leave the program as it is, " +
                    "\"using Socket = SslSock.Compat.Socket;\" at the top of its files.");
            }
            try
            {
                Configure(name, callback, session);
                if (!isConnected)
                {
                    immediate.Secure(this);
                }
            }
            catch (Exception)
            {
                // A program that passes over it must not go on in clear.
                Kill();
                throw;
            }
            if (isConnected)
            {
                Handshake();
            }
        }

        /// <summary>The handle, made if there is none.</summary>
        internal SslSocket Open()
        {
            lock (changes)
            {
                // An upgraded socket keeps a handle that has been disposed: a new one would be TLS within TLS.
                if (sslSocket == null || sslSocket.IsClosed && !sslSocket.IsSecure)
                {
                    SslSocket found = SslSocket.FromDescriptor(DescriptorOf(socket));
                    // Closed meanwhile by another thread: the number may have been another socket's.
                    ThrowIfClosed(socket);
                    sslSocket = found;
                    hasTakenOver = false;
                    // At once, for what the program sets itself goes before it.
                    TakeOver(found);
                }
                return sslSocket;
            }
        }

        internal SslSocket OpenNested()
        {
            lock (changes)
            {
                sslSocket = SslSocket.New(DescriptorOf(socket));
                GC.KeepAlive(socket);
                return sslSocket;
            }
        }

        /// <summary>Takes a handle that has been made for this socket in another way.</summary>
        internal void Adopt(SslSocket made)
        {
            lock (changes)
            {
                sslSocket = made;
                Prepare(made);
            }
        }

        /// <summary>Turns the connected socket into TLS. If that fails it is dead.</summary>
        internal void Handshake()
        {
            SslSocket native = BeginUpgrade();
            SslError outcome;
            try
            {
                outcome = IsNameless ? native.PerformHandshakeOfWindowsCe() : native.PerformHandshake(HostName);
            }
            catch (Exception error) when (IsNoFailure(error, native))
            {
                Kill();
                throw;
            }
            finally
            {
                EndUpgrade();
            }
            if (outcome != SslError.Okay)
            {
                Kill();
                throw new InvalidOperationException(
                    "With SslFlags.NonBlocking only SslSocket.PerformHandshake makes the handshake, step by step.");
            }
            GC.KeepAlive(socket);
        }

        /// <summary>
        /// The same without waiting: see <see cref="SslSocket.PerformHandshakeAsync(string, CancellationToken)"/>.
        /// </summary>
        internal async Task HandshakeAsync(Func<SslSocket, Task<int>> validate, CancellationToken cancellation)
        {
            SslSocket native = BeginUpgrade();
            try
            {
                Task handshake = IsNameless
                    ? native.PerformHandshakeOfWindowsCeAsync(validate, cancellation)
                    : native.PerformHandshakeAsync(HostName, validate, cancellation);
                await handshake.ConfigureAwait(false);
            }
            catch (Exception error) when (IsNoFailure(error, native))
            {
                Kill();
                throw;
            }
            finally
            {
                EndUpgrade();
            }
            GC.KeepAlive(socket);
        }

        /// <summary>Whether there is a hook that a helper has set.</summary>
        internal bool HasHook
        {
            get { return hook != null; }
        }

        /// <summary>The name that a helper has given, in ASCII, or null.</summary>
        internal string HostName
        {
            get { return host?.Name; }
        }

        private bool IsNameless
        {
            get { return host == null && isConfigured; }
        }

        private SslSocket BeginUpgrade()
        {
            try
            {
                lock (changes)
                {
                    SslSocket native = Open();
                    // Once it has begun, here or on another thread, the library refuses this one and says why.
                    if (!native.HasBegun && upgrading == 0)
                    {
                        Prepare(native);
                        RefuseExplicit(native);
                        KeepEndPoints();
                    }
                    upgrading++;
                    return native;
                }
            }
            catch (Exception error) when (!HasBegun(error))
            {
                // Whoever passes over the exception must not send a password next.
                Kill();
                throw;
            }
        }

        private void EndUpgrade()
        {
            lock (changes)
            {
                upgrading--;
            }
        }

        /// <summary>It did not get as far as the library, which kills by itself.</summary>
        private static bool IsNoFailure(Exception error, SslSocket native)
        {
            return !(error is SslSocketException) && !native.IsSecure;
        }

        /// <summary>Whoever goes on with the socket after the handshake would send in clear in explicit mode.</summary>
        internal static void RefuseExplicit(SslSocket native)
        {
            if (!native.HasBegun && (native.Flags & SslFlags.ExplicitIo) != 0)
            {
                throw new InvalidOperationException(
                    "With SslFlags.ExplicitIo the socket itself would send in clear: make the handshake with " +
                    "SslSocket.PerformHandshake, then use SslSocket.Send and Receive; or take the flag away.");
            }
        }

        /// <summary>Some runtimes keep what they have once asked for; afterwards it is the inner pair's.</summary>
        internal void KeepEndPoints()
        {
            try
            {
                GC.KeepAlive(socket.RemoteEndPoint);
                GC.KeepAlive(socket.LocalEndPoint);
            }
            catch (SocketException)
            {
                // Not connected: the handshake says so.
            }
            catch (NotSupportedException)
            {
                // An address of a kind that the runtime has no class for.
            }
        }

        /// <summary>For when no handshake comes about: nothing leaves in clear.</summary>
        internal void Kill()
        {
            try
            {
                socket.Shutdown(SocketShutdown.Both);
            }
            catch (SocketException)
            {
                KillUnconnected();
            }
            catch (ObjectDisposedException)
            {
            }
        }

        /// <summary>
        /// The runtime does not believe that it is connected. It may be, or become so, however often that is tried: a
        /// shutdown alone is undone by a connection that cannot be made.
        /// </summary>
        private void KillUnconnected()
        {
            try
            {
                Open().RefuseHandshake();
            }
            catch (ObjectDisposedException)
            {
            }
            catch (Exception)
            {
                // There is no library, or no handle to be had: then nothing can be sent for now.
                shutdown((int)socket.Handle, SHUT_RDWR);
            }
            GC.KeepAlive(socket);
        }

        /// <summary>
        /// The descriptor of a socket. One that has been closed answers its old number, which may be another's now.
        /// </summary>
        /// <exception cref="ObjectDisposedException">The socket is closed.</exception>
        internal static int DescriptorOf(Socket socket)
        {
            ThrowIfClosed(socket);
            return (int)socket.Handle;
        }

        private static void ThrowIfClosed(Socket socket)
        {
            // There is no public way to ask.
            GC.KeepAlive(socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Type));
        }

        /// <summary>Whoever passes over the exception that follows, and connects, sends nothing in clear.</summary>
        private void Hold()
        {
            try
            {
                SslSocket.Secure(socket);
                isHeld = true;
            }
            catch (SslSocketException)
            {
                // It has a handle already, or is about to be connected.
                Kill();
            }
        }

        private bool IsSecure
        {
            get { return sslSocket != null && sslSocket.IsSecure; }
        }

        private bool IsOpen
        {
            get { return sslSocket != null && !sslSocket.IsClosed; }
        }

        private void Prepare(SslSocket native)
        {
            if (native.IsSecure)
            {
                return;
            }
            TakeOver(native);
            if (host != null)
            {
                native.SetPeerName(host);
            }
            if (hook != null)
            {
                native.SetValidateCertHook(hook, host == null ? IntPtr.Zero : host.Pointer);
            }
            else if (isHooked)
            {
                native.SetValidateCertHook(null);
            }
            // One that a helper has not set stays as it is.
            isHooked = hook != null;
        }

        private void TakeOver(SslSocket native)
        {
            if (control != null && !hasTakenOver && !native.HasBegun)
            {
                native.Inherit(control);
                native.SetSessionFrom(control);
                hasTakenOver = true;
            }
        }

        /// <summary>Somebody else is making the handshake, and nothing leaves in clear any more.</summary>
        private static bool HasBegun(Exception error)
        {
            var refusal = error as SslSocketException;
            return refusal != null && (refusal.Code == (int)SslError.State || refusal.Code == (int)SslError.Reentrant);
        }

        private void CheckName(string name)
        {
            string expected = host == null ? null : host.Name;
            if (!string.Equals(name, expected, StringComparison.OrdinalIgnoreCase))
            {
                throw new InvalidOperationException(
                    "The handshake with this socket has been made already, for another name: " + sslSocket.PeerName);
            }
        }

        [DllImport("libc")]
        private static extern int shutdown(int descriptor, int how);
    }
}
