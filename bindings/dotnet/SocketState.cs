using System;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

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

        private readonly object changes = new object();
        private readonly Socket socket;
        private SslSocket sslSocket;
        private AsciiHost host;
        private SslHelper.SSLVALIDATECERTFUNC hook;
        private bool isConfigured;
        private bool isHooked;
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

        /// <summary>The state of a socket for which a helper has been made.</summary>
        internal static SocketState Find(Socket socket)
        {
            if (socket == null)
            {
                throw new ArgumentNullException(nameof(socket));
            }
            SocketState state;
            if (!States.TryGetValue(socket, out state) || !state.isConfigured)
            {
                throw new InvalidOperationException(
                    "No SslHelper has been made for this socket: new SslHelper(socket, host, true) says whose " +
                    "certificate is expected.");
            }
            return state;
        }

        /// <summary>
        /// What a helper says; a later one says it anew. Without a name there has to be a callback, which then has all
        /// the say, unless the program has set SslSocket.PeerName.
        /// </summary>
        internal void Configure(string name, SslHelper.SSLVALIDATECERTFUNC callback)
        {
            lock (changes)
            {
                if (sslSocket != null && sslSocket.IsSecure)
                {
                    CheckName(name);
                    return;
                }
                host = name == null ? null : new AsciiHost(name);
                hook = callback;
                isConfigured = true;
                // .NET does not connect a socket to a name with several addresses when somebody has asked for its
                // descriptor, so one that is not connected has its handle later.
                if (socket.Connected || IsOpen)
                {
                    Prepare(Open());
                }
            }
        }

        /// <summary>The same, and the handshake at once, or as soon as a socket for that connects.</summary>
        internal void Begin(string name, SslHelper.SSLVALIDATECERTFUNC callback)
        {
            var immediate = socket as IImmediateSocket;
            bool isConnected = socket.Connected;
            if (!isConnected && immediate == null)
            {
                throw new InvalidOperationException(
                    "The socket is not connected, and .NET does not let a helper take part in its Connect. Choose one: " +
                    "new SslHelper(socket, host, true), connect, then DoHandshake(); or " +
                    "SslHelper.Connect(socket, endPoint, host); or, to leave the program as it is, " +
                    "\"using Socket = SslSock.Compat.Socket;\" at the top of its files.");
            }
            try
            {
                Configure(name, callback);
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
                    sslSocket = SslSocket.FromDescriptor((int)socket.Handle);
                    GC.KeepAlive(socket);
                }
                return sslSocket;
            }
        }

        internal SslSocket OpenNested()
        {
            lock (changes)
            {
                sslSocket = SslSocket.New((int)socket.Handle);
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
            SslSocket native;
            try
            {
                lock (changes)
                {
                    native = Open();
                    // Another thread may be making it, with what was prepared there; the library refuses this one.
                    if (!native.IsSecure && upgrading == 0)
                    {
                        Prepare(native);
                        KeepEndPoints();
                    }
                    upgrading++;
                }
            }
            catch (Exception error) when (!HasBegun(error))
            {
                // Whoever passes over the exception must not send a password next.
                Kill();
                throw;
            }
            SslError outcome;
            try
            {
                outcome = host != null || !isConfigured
                    ? native.PerformHandshake(host?.Name)
                    : native.PerformHandshakeOfWindowsCe();
            }
            finally
            {
                lock (changes)
                {
                    upgrading--;
                }
            }
            if (outcome != SslError.Okay)
            {
                Kill();
                throw new InvalidOperationException(
                    "With SslFlags.NonBlocking only SslSocket.PerformHandshake makes the handshake, step by step.");
            }
            GC.KeepAlive(socket);
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
                // It is not connected, and nothing can be sent on it.
            }
            catch (ObjectDisposedException)
            {
            }
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

        /// <summary>Somebody else is making the handshake, and nothing leaves in clear any more.</summary>
        private static bool HasBegun(Exception error)
        {
            var refusal = error as SslSocketException;
            return refusal != null && (refusal.Code == (int)SslError.State || refusal.Code == (int)SslError.Reentrant);
        }

        private void CheckName(string name)
        {
            if (name != (host == null ? null : host.Name))
            {
                throw new InvalidOperationException(
                    "The handshake with this socket has been made already, for another name: " + sslSocket.PeerName);
            }
        }

    }
}
