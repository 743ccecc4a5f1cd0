using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using System.Threading.Tasks;
using Microsoft.Win32.SafeHandles;

namespace SslSock
{
    /// <summary>A handle of the library for one socket: everything that include/sslsock.h has for it.</summary>
    /// <remarks>
    /// <para>The socket stays the program's: no method closes it. A handle that is disposed or collected leaves a socket
    /// that was upgraded as it is: it goes on carrying TLS until it is closed. In explicit mode the session ends then.</para>
    /// <para>Any thread may call any method. On one handle one thread may send while another receives; everything else
    /// takes its turn. Inside a hook or signer only what reads may be called for the same handle, everything else
    /// throws with the code Reentrant. No other thread may be inside Receive, Poll or Select on the socket during the
    /// handshake; asynchronous receives may be pending.</para>
    /// <para>What fails throws <see cref="SslSocketException"/>, after Dispose ObjectDisposedException.</para>
    /// </remarks>
    public sealed partial class SslSocket : SafeHandle
    {
        private const int Failure = -1;
        private const uint WindowsCePerformHandshake = 0x1073000D;

        /// <summary>The owners of native handles, to be found by them.</summary>
        private static readonly ConcurrentDictionary<IntPtr, WeakReference<SslSocket>> Live =
            new ConcurrentDictionary<IntPtr, WeakReference<SslSocket>>();

        private readonly WeakReference<SslSocket> self;

        private readonly bool isDefaults;

        private string peerName;
        private bool isSecure;
        private volatile bool hasBegun;
        private bool isExplicit;
        private bool isDisposing;
        private EndPoint remote;
        private EndPoint local;

        private SslSocket(IntPtr native, bool owns, bool isDefaults = false) : base(IntPtr.Zero, owns)
        {
            SetHandle(native);
            this.isDefaults = isDefaults;
            peerName = SslDefaults.PeerNameOfNew;
            self = new WeakReference<SslSocket>(this);
            if (owns)
            {
                Live[native] = self;
            }
        }

        /// <summary>Takes a native handle from an owner that is no more, but has not been finalized yet.</summary>
        private SslSocket(IntPtr native, WeakReference<SslSocket> owner) : base(IntPtr.Zero, true)
        {
            self = new WeakReference<SslSocket>(this);
            if (Live.TryUpdate(native, self, owner))
            {
                SetHandle(native);
            }
        }

        /// <summary>True if there is no handle.</summary>
        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        /// <summary>Whether the handshake has been made by this object.</summary>
        public bool IsSecure
        {
            get { return isSecure; }
        }

        /// <summary>
        /// The handle of a socket; makes one if there is none yet. It lives at least as long as the socket.
        /// </summary>
        /// <param name="socket">A stream socket, connected or not yet.</param>
        /// <returns>The handle, always the same for one socket.</returns>
        /// <remarks>
        /// It asks for the socket's descriptor. After that .NET refuses to connect a socket to a name that has several
        /// addresses: connect first, or resolve the name.
        /// </remarks>
        /// <exception cref="ArgumentNullException"><paramref name="socket"/> is null.</exception>
        /// <exception cref="SslSocketException">It is no stream socket.</exception>
        public static SslSocket For(Socket socket)
        {
            return SocketState.Of(socket).Open();
        }

        /// <summary>
        /// A further handle for a socket that has been upgraded, for TLS within TLS: from now on it is the one of
        /// <see cref="For"/>.
        /// </summary>
        /// <param name="socket">A connected socket.</param>
        /// <returns>A new handle.</returns>
        /// <exception cref="ArgumentNullException"><paramref name="socket"/> is null.</exception>
        /// <exception cref="SslSocketException">
        /// It is no stream socket, or has a handle and has not been upgraded.
        /// </exception>
        public static SslSocket Nested(Socket socket)
        {
            return SocketState.Of(socket).OpenNested();
        }

        /// <summary>
        /// A handle that takes settings only and has no connection, for <see cref="VerifyChain"/>. It begins with those of
        /// <see cref="SslDefaults"/>.
        /// </summary>
        /// <returns>The handle. The caller disposes it.</returns>
        public static SslSocket NewSettings()
        {
            NativeLoader.Load();
            return MakeSettings();
        }

        /// <summary>The handle of a descriptor; makes one if there is none yet.</summary>
        /// <param name="descriptor">
        /// The number of a stream socket, which stays the caller's and has to stay open.
        /// </param>
        /// <returns>The handle. The caller keeps it or disposes it; it is not kept by the descriptor.</returns>
        /// <exception cref="SslSocketException">It is no stream socket.</exception>
        public static SslSocket FromDescriptor(int descriptor)
        {
            NativeLoader.Load();
            return FindOrNew(descriptor);
        }

        /// <summary>
        /// Makes the handshake: turns the connected socket into TLS, now, and returns when that is done.
        /// </summary>
        /// <param name="host">
        /// The peer's name, DNS or IP literal; null: that of <see cref="PeerName"/>. A server needs none.
        /// </param>
        /// <returns>
        /// Okay; with <see cref="SslFlags.NonBlocking"/> also WantRead or WantWrite: wait for
        /// <see cref="GetTransportDescriptor"/> and call again; or WantValidation: see <see cref="CompleteValidation"/>.
        /// </returns>
        /// <remarks>
        /// A failure ends the connection: the socket is dead afterwards, and nothing leaves in clear. (Not with the code
        /// State or Reentrant for a socket that speaks TLS already or whose handshake is being made.) Everything that
        /// the peer said before is void: greet it again. The certificate hook is called on this thread.
        /// </remarks>
        /// <exception cref="SslSocketException">The handshake has failed.</exception>
        public SslError PerformHandshake(string host = null)
        {
            byte[] name = Native.Utf8(host, nameof(host));
            return Handshake(() => Native.ssl_perform_handshake(this, name));
        }

        /// <summary><see cref="PerformHandshake"/> on a thread of its own.</summary>
        /// <param name="host">The peer's name, as there.</param>
        /// <returns>A task with its answer. It cannot be cancelled; SslTimeout.Handshake bounds it.</returns>
        public Task<SslError> PerformHandshakeAsync(string host = null)
        {
            return OnThread(() => PerformHandshake(host));
        }

        /// <summary>
        /// Connects the descriptor, then makes the handshake with <see cref="PeerName"/>, unless
        /// <see cref="SslFlags.DeferHandshake"/> is set.
        /// </summary>
        /// <param name="endPoint">An IPEndPoint or <see cref="SslUnixEndPoint"/>.</param>
        /// <remarks>
        /// For descriptors: a <see cref="Socket"/> that is connected behind its back does not believe that it is. For
        /// those there is <see cref="SslHelper.Connect(Socket, EndPoint, string)"/>.
        /// </remarks>
        /// <exception cref="ArgumentNullException"><paramref name="endPoint"/> is null.</exception>
        /// <exception cref="SslSocketException">
        /// No connection, which can be tried again, or a failed handshake.
        /// </exception>
        public void Connect(EndPoint endPoint)
        {
            if (endPoint == null)
            {
                throw new ArgumentNullException(nameof(endPoint));
            }
            byte[] address = SocketAddresses.Write(endPoint);
            using (var scope = new HandshakeScope(this))
            {
                Check(Native.ssl_connect(this, address, (uint)address.Length), scope.Thrown);
            }
            if ((Flags & SslFlags.DeferHandshake) == 0)
            {
                Established();
            }
        }

        /// <summary>Sends in explicit mode; on an upgraded socket it is the socket's own Send.</summary>
        /// <param name="buffer">The bytes.</param>
        /// <param name="offset">Where they begin.</param>
        /// <param name="count">How many; 0 only sends what waits in the library.</param>
        /// <param name="flags">DontWait or NoSignal.</param>
        /// <returns>How many bytes were accepted: the library owns them.</returns>
        /// <remarks>Blocks like the socket, and not at all with <see cref="SslFlags.NonBlocking"/>.</remarks>
        /// <exception cref="SslSocketException">Category WouldBlock: later. Anything else: an error.</exception>
        public int Send(byte[] buffer, int offset, int count, SslMessageFlags flags = SslMessageFlags.None)
        {
            CheckRange(buffer, offset, count);
            var nothing = default(byte);
            IntPtr sent = count == 0
                ? Native.ssl_send(this, ref nothing, UIntPtr.Zero, (int)flags)
                : Native.ssl_send(this, ref buffer[offset], (UIntPtr)(uint)count, (int)flags);
            return Transferred(sent);
        }

        /// <summary>Receives in explicit mode; on an upgraded socket it is the socket's own Receive.</summary>
        /// <param name="buffer">Where the bytes go.</param>
        /// <param name="offset">Where they begin.</param>
        /// <param name="count">How many at most.</param>
        /// <param name="flags">DontWait, Peek or WaitAll.</param>
        /// <returns>How many bytes were received; 0 after the peer's close_notify, and only then.</returns>
        /// <remarks>More may be at hand than Poll shows: see <see cref="Pending"/>.</remarks>
        /// <exception cref="SslSocketException">
        /// Category WouldBlock: later. Truncated: the connection ended without close_notify. Anything else: an error.
        /// </exception>
        public int Receive(byte[] buffer, int offset, int count, SslMessageFlags flags = SslMessageFlags.None)
        {
            CheckRange(buffer, offset, count);
            var nothing = default(byte);
            IntPtr received = count == 0
                ? Native.ssl_recv(this, ref nothing, UIntPtr.Zero, (int)flags)
                : Native.ssl_recv(this, ref buffer[offset], (UIntPtr)(uint)count, (int)flags);
            return Transferred(received);
        }

        /// <summary>Ends one direction or both. Send: close_notify goes out, and receiving goes on.</summary>
        /// <param name="how">Both also wakes a thread that is inside <see cref="Receive"/>.</param>
        public void Shutdown(SocketShutdown how)
        {
            Check(Native.ssl_shutdown(this, (int)how));
        }

        /// <summary>
        /// Waits until everything that the program has sent on its sockets has been acknowledged by the peers' systems.
        /// After that it is safe to end the process in whatever way.
        /// </summary>
        /// <param name="milliseconds">At most so long; Timeout.Infinite: no limit; 0: only look.</param>
        /// <returns>How many sockets still hold data.</returns>
        public static int FlushAll(int milliseconds)
        {
            NativeLoader.Load();
            return Flush(milliseconds);
        }

        /// <summary>How many threads of the library carry connections at most, in the whole process.</summary>
        /// <param name="count">Up to 256; 0, the default: as many as there are processors.</param>
        public static void SetRelayThreads(int count)
        {
            if (count < 0)
            {
                throw new ArgumentOutOfRangeException(nameof(count));
            }
            NativeLoader.Load();
            SetThreads(count);
        }

        /// <summary>Frees the native handle.</summary>
        /// <returns>Whether it was live.</returns>
        protected override bool ReleaseHandle()
        {
            IntPtr native = handle;
            if (!((ICollection<KeyValuePair<IntPtr, WeakReference<SslSocket>>>)Live).Remove(
                new KeyValuePair<IntPtr, WeakReference<SslSocket>>(native, self)))
            {
                // It has another owner now.
                FreeHookHandle();
                return true;
            }
            // An explicit session waits for the peer's last words, for which no finalizer has the time.
            if (isExplicit && !isDisposing && ThreadPool.QueueUserWorkItem(_ => Native.ssl_socket_free(native)))
            {
                FreeHookHandle();
                return true;
            }
            int code = Native.ssl_socket_free(native);
            FreeHookHandle();
            callbacks.Clear();
            return code == 0;
        }

        /// <summary>Whether a handshake has been begun by this object, and can be begun no more.</summary>
        internal bool HasBegun
        {
            get { return isSecure || hasBegun; }
        }

        /// <summary>Ends the use of the handle.</summary>
        /// <param name="disposing">False in the finalizer.</param>
        protected override void Dispose(bool disposing)
        {
            isDisposing = disposing;
            base.Dispose(disposing);
        }

        internal static SslSocket New(int descriptor)
        {
            NativeLoader.Load();
            return Make(descriptor);
        }

        /// <summary>Takes over a native handle that has no owner yet.</summary>
        internal static SslSocket Adopt(IntPtr native)
        {
            return new SslSocket(native, true);
        }

        /// <summary>The handle of the defaults, which lives as long as the process.</summary>
        internal static SslSocket OfDefaults()
        {
            NativeLoader.Load();
            return FindDefaults();
        }

        /// <summary>The handshake as on Windows CE, where a hook could do without any name.</summary>
        internal SslError PerformHandshakeOfWindowsCe()
        {
            uint returned;
            return Handshake(() => Native.ssl_ioctl(this, WindowsCePerformHandshake, null, 0, null, 0, out returned));
        }

        /// <summary>
        /// Asks for a handshake with what cannot be a name, which ends the connection, or any that would be made later.
        /// </summary>
        internal void RefuseHandshake()
        {
            Native.ssl_perform_handshake(this, new byte[] { 0xff, 0 });
        }

        /// <summary>
        /// A silent peer and a hook may take minutes: a few such handshakes in the pool would stop everything else there.
        /// </summary>
        internal static Task<SslError> OnThread(Func<SslError> handshake)
        {
            return Task.Factory.StartNew(
                handshake, CancellationToken.None, TaskCreationOptions.LongRunning | TaskCreationOptions.DenyChildAttach,
                TaskScheduler.Default);
        }

        internal static void Check(int code, Exception thrown = null)
        {
            if (code != 0)
            {
                throw SslSocketException.OfThisThread(thrown);
            }
        }

        internal static uint Milliseconds(int milliseconds, string parameter)
        {
            if (milliseconds < Timeout.Infinite)
            {
                throw new ArgumentOutOfRangeException(parameter, "Milliseconds, or Timeout.Infinite for no limit.");
            }
            // -1 is UINT32_MAX.
            return unchecked((uint)milliseconds);
        }

        // Mono looks for the library when it compiles a method that calls it: methods of their own, after Load.

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static SslSocket FindOrNew(int descriptor)
        {
            while (true)
            {
                IntPtr native;
                if (Native.ssl_socket_from_fd(descriptor, out native) != 0)
                {
                    return Make(descriptor);
                }
                WeakReference<SslSocket> owner;
                if (!Live.TryGetValue(native, out owner))
                {
                    // Another part of the process has made it: it is not ours to free.
                    return new SslSocket(native, false).AsFound();
                }
                SslSocket found;
                if (owner.TryGetTarget(out found) && !found.IsClosed)
                {
                    return found;
                }
                found = new SslSocket(native, owner);
                if (!found.IsInvalid)
                {
                    // The hooks that it has are the former owner's.
                    Native.ssl_set_validate_cert_hook(found, null, IntPtr.Zero);
                    Native.ssl_set_auth_request_hook(found, null, IntPtr.Zero);
                    return found.AsFound();
                }
                // The former owner has freed it meanwhile.
            }
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static SslSocket Make(int descriptor)
        {
            IntPtr native = Native.ssl_socket_new(descriptor);
            if (native == IntPtr.Zero)
            {
                throw SslSocketException.OfThisThread();
            }
            return new SslSocket(native, true);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static SslSocket FindDefaults()
        {
            IntPtr native = Native.ssl_defaults();
            if (native == IntPtr.Zero)
            {
                throw SslSocketException.OfThisThread();
            }
            return new SslSocket(native, false, true);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static SslSocket MakeSettings()
        {
            IntPtr native = Native.ssl_settings_new();
            if (native == IntPtr.Zero)
            {
                throw SslSocketException.OfThisThread();
            }
            return new SslSocket(native, true);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static int Flush(int milliseconds)
        {
            uint unfinished;
            int code = Native.ssl_flush_all(Milliseconds(milliseconds, nameof(milliseconds)), out unfinished);
            if (code != (int)SslError.Timeout)
            {
                Check(code);
            }
            return (int)unfinished;
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void SetThreads(int count)
        {
            Check(Native.ssl_set_relay_threads((uint)count));
        }

        private SslError Handshake(Func<int> perform)
        {
            bool added = false;
            try
            {
                // A hook may dispose it, and then there is something to be asked yet.
                DangerousAddRef(ref added);
                using (var scope = new HandshakeScope(this))
                {
                    hasBegun = true;
                    int code = perform();
                    if (code == (int)SslError.WantRead || code == (int)SslError.WantWrite ||
                        code == (int)SslError.WantValidation)
                    {
                        return (SslError)code;
                    }
                    Check(code, scope.Thrown ?? thrownByValidation);
                }
                Established();
                return SslError.Okay;
            }
            finally
            {
                if (added)
                {
                    DangerousRelease();
                }
            }
        }

        private SslSocket AsFound()
        {
            var info = new Native.ssl_session_info { size = (uint)Marshal.SizeOf(typeof(Native.ssl_session_info)) };
            if (Native.ssl_get_session_info(this, ref info) == 0)
            {
                Established();
            }
            return this;
        }

        /// <summary>The addresses stay known when the handle has been disposed.</summary>
        private void Established()
        {
            isSecure = true;
            isExplicit = (Flags & SslFlags.ExplicitIo) != 0;
            local = Address(AddressOfThisSide);
            remote = Address(AddressOfPeer);
        }

        private static int Transferred(IntPtr count)
        {
            if (count.ToInt64() == Failure)
            {
                throw SslSocketException.OfThisThread();
            }
            return (int)count.ToInt64();
        }

        private static void CheckRange(byte[] buffer, int offset, int count)
        {
            if (buffer == null)
            {
                throw new ArgumentNullException(nameof(buffer));
            }
            if (offset < 0 || offset > buffer.Length)
            {
                throw new ArgumentOutOfRangeException(nameof(offset));
            }
            if (count < 0 || count > buffer.Length - offset)
            {
                throw new ArgumentOutOfRangeException(nameof(count));
            }
        }
    }

    /// <summary>A duplicate of the real connection's descriptor, which is closed with this object.</summary>
    public sealed class SslTransportDescriptor : SafeHandleMinusOneIsInvalid
    {
        internal SslTransportDescriptor(int descriptor) : base(true)
        {
            SetHandle((IntPtr)descriptor);
        }

        /// <summary>The number, for setsockopt, getsockopt and poll. What travels on it is TLS.</summary>
        public int Number
        {
            get { return (int)handle; }
        }

        /// <summary>Closes the descriptor.</summary>
        /// <returns>Whether that worked.</returns>
        protected override bool ReleaseHandle()
        {
            return close((int)handle) == 0;
        }

        [DllImport("libc")]
        private static extern int close(int descriptor);
    }
}
