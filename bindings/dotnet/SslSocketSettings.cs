using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Text;

namespace SslSock
{
    public sealed partial class SslSocket
    {
        private const int LongestProtocol = 255;

        /// <summary>
        /// The others say how one connection is made and used, or promise something about its descriptor.
        /// </summary>
        private const SslFlags Inherited =
            SslFlags.Strict | SslFlags.AllowTruncation | SslFlags.UnixPair | SslFlags.NoResumption | SslFlags.NoPostQuantum;

        /// <summary>Every name that a hook may have the pointer of.</summary>
        private readonly ConcurrentBag<AsciiHost> kept = new ConcurrentBag<AsciiHost>();

        /// <summary>What has been set here, for a connection that is to have the same settings.</summary>
        private readonly ConcurrentQueue<Action<SslSocket>> made = new ConcurrentQueue<Action<SslSocket>>();

        /// <summary>The flags; what is set replaces the earlier ones. Before the handshake.</summary>
        /// <exception cref="SslSocketException">
        /// Code Invalid: an unknown flag, or two that contradict each other. State: the handshake has begun.
        /// </exception>
        public SslFlags Flags
        {
            get
            {
                uint flags;
                Check(Native.ssl_get_flags(this, out flags));
                return (SslFlags)flags;
            }
            set
            {
                Check(Native.ssl_set_flags(this, (uint)value));
                Remember(socket =>
                    Check(Native.ssl_set_flags(socket, (uint)(value & Inherited | socket.Flags & ~Inherited))));
            }
        }

        /// <summary>
        /// The name that the peer's certificate must be for, and that the peer is told (SNI): a DNS name or an IP
        /// literal, as it was set here; null if it was not. Before the handshake.
        /// </summary>
        /// <exception cref="SslSocketException">Code Invalid: not a name. NoName: it is empty.</exception>
        public string PeerName
        {
            get { return peerName; }
            set
            {
                byte[] name = Native.Utf8(value, nameof(value));
                Apply(socket =>
                {
                    Check(Native.ssl_set_peername(socket, name));
                    socket.peerName = value;
                });
            }
        }

        /// <summary>Sets a time limit. Before the handshake.</summary>
        /// <param name="which">Which one.</param>
        /// <param name="milliseconds">Milliseconds, not 0; Timeout.Infinite: no limit.</param>
        public void SetTimeout(SslTimeout which, int milliseconds)
        {
            uint limit = Milliseconds(milliseconds, nameof(milliseconds));
            Apply(socket => Check(Native.ssl_set_timeout(socket, (uint)which, limit)));
        }

        /// <summary>
        /// Sets the application protocols that are offered or, for a server, chosen from (ALPN). Before the handshake.
        /// </summary>
        /// <param name="protocols">
        /// As "h2" and "http/1.1", most wanted first; none: no ALPN. What was agreed is in <see cref="SessionInfo"/>.
        /// </param>
        /// <exception cref="ArgumentException">A name is empty or longer than 255 bytes.</exception>
        public void SetAlpn(params string[] protocols)
        {
            byte[] list = AlpnList(protocols);
            Apply(socket => Check(Native.ssl_set_alpn(socket, list, (UIntPtr)(uint)list.Length)));
        }

        /// <summary>Sets the oldest and the newest version of TLS that are allowed. Before the handshake.</summary>
        /// <param name="min">The oldest, TLS 1.2 by default.</param>
        /// <param name="max">The newest, TLS 1.3 by default.</param>
        /// <exception cref="SslSocketException">
        /// Code Invalid: another version, since older ones are not safe; or the oldest is newer than the newest.
        /// </exception>
        public void SetProtocols(TlsVersion min, TlsVersion max)
        {
            ushort oldest = Number(min), newest = Number(max);
            Apply(socket => Check(Native.ssl_set_protocols(socket, oldest, newest)));
        }

        /// <summary>
        /// Appends the secrets of the sessions to a file, with which Wireshark decrypts what was recorded: for finding
        /// errors only. Before the handshake.
        /// </summary>
        /// <param name="path">
        /// The file, which is made for its owner alone. Whoever has it can read everything. Null: no file.
        /// </param>
        /// <exception cref="SslSocketException">Code Io: it cannot be opened.</exception>
        public void SetKeyLogFile(string path)
        {
            byte[] name = Native.Utf8(path, nameof(path));
            Apply(socket => Check(Native.ssl_set_key_log_file(socket, name)));
        }

        /// <summary>
        /// Has the handshake resume the session of another connection, as an FTP server demands for its data connections.
        /// Before the handshake.
        /// </summary>
        /// <param name="other">
        /// A client's handle whose handshake has been made; its connection may have ended since. Null: any session with the
        /// same peer name and settings, as without this call.
        /// </param>
        /// <remarks>
        /// <para>This handle takes the peer name of the other if it has none. All else that was set has to be the same,
        /// or the handshake fails with the code Invalid, and says what differs: see <see cref="SslHelper"/>, which takes
        /// it over.</para>
        /// <para>Without a session that the server takes a full handshake is made, unless
        /// <see cref="SslFlags.RequireResumption"/> is set. A session of TLS 1.3 is good for one connection; servers send
        /// new ones as they like, and they are noticed when the other connection is read.</para>
        /// </remarks>
        /// <exception cref="SslSocketException">Code State: the other has not made its handshake, or is a server.</exception>
        public void SetSessionFrom(SslSocket other)
        {
            bool added = false;
            try
            {
                other?.DangerousAddRef(ref added);
                Check(Native.ssl_set_session_from(this, other == null ? IntPtr.Zero : other.handle));
            }
            finally
            {
                if (added)
                {
                    other.DangerousRelease();
                }
            }
        }

        /// <summary>Sets the name and keeps it for hooks that get its pointer.</summary>
        internal void SetPeerName(AsciiHost host)
        {
            PeerName = host.Name;
            kept.Add(host);
        }

        /// <summary>Gives this handle the settings that the program has made on another one, its hooks apart.</summary>
        internal void Inherit(SslSocket other)
        {
            foreach (Action<SslSocket> setting in other.made)
            {
                Apply(setting);
            }
        }

        private void Apply(Action<SslSocket> setting)
        {
            setting(this);
            Remember(setting);
        }

        private void Remember(Action<SslSocket> setting)
        {
            // The defaults are there for every handle.
            if (!isDefaults)
            {
                made.Enqueue(setting);
            }
        }

        /// <summary>What does not fit is no version either.</summary>
        private static ushort Number(TlsVersion version)
        {
            return (int)version > ushort.MaxValue ? (ushort)0 : unchecked((ushort)version);
        }

        /// <summary>Each as one byte of length and that many bytes.</summary>
        private static byte[] AlpnList(string[] protocols)
        {
            if (protocols == null)
            {
                throw new ArgumentNullException(nameof(protocols));
            }
            var list = new List<byte>();
            foreach (string protocol in protocols)
            {
                byte[] name = Encoding.UTF8.GetBytes(protocol ?? "");
                if (name.Length == 0 || name.Length > LongestProtocol)
                {
                    throw new ArgumentException("A protocol's name has 1 to 255 bytes.", nameof(protocols));
                }
                list.Add((byte)name.Length);
                list.AddRange(name);
            }
            return list.ToArray();
        }

        private static byte[] Needed(string text, string parameter)
        {
            if (text == null)
            {
                throw new ArgumentNullException(parameter);
            }
            return Native.Utf8(text, parameter);
        }

        /// <summary>A copy, for the program may do with its own what it likes.</summary>
        private static byte[] Copied(byte[] bytes, string parameter)
        {
            if (bytes == null)
            {
                throw new ArgumentNullException(parameter);
            }
            return (byte[])bytes.Clone();
        }
    }
}
