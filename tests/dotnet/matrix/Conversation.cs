using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using SslSock;

namespace Matrix
{
    /// <summary>How a conversation comes to the state in which a feature is tried.</summary>
    public enum Way
    {
        /// <summary>It stays in clear: what the others are compared with.</summary>
        Plain,

        /// <summary>It begins in clear and SslHelper.DoHandshake upgrades it.</summary>
        Upgraded,

        /// <summary>SslHelper.Connect makes the connection and the handshake.</summary>
        Immediate
    }

    /// <summary>
    /// A socket, its peer, and what a feature has seen of them. A feature says the same steps for every way; what it
    /// sees goes out as text and is compared by whoever started the program.
    /// </summary>
    public sealed class Conversation : IDisposable
    {
        public const string Host = "localhost";
        private static int tickets;

        private readonly string ticket;
        private readonly IPEndPoint address;
        private int sent;
        private int received;
        private bool beforeTheUpgrade;

        /// <param name="how">How <see cref="Upgrade"/> is to do it.</param>
        /// <param name="feature">The name under which observations go out; null for none.</param>
        /// <param name="peer">The environment's variable with the peer's address.</param>
        /// <param name="connect">Connects; null for Socket.Connect. Not asked in the immediate way.</param>
        /// <param name="helper">Makes the helper; null for an SslHelper. Not asked in the immediate way.</param>
        public Conversation(Way how, string feature = null, string peer = "SSLSOCK_CALLS_PEER",
            Action<Socket, EndPoint> connect = null, Func<Socket, SslHelper> helper = null)
        {
            Way = how;
            Feature = feature;
            ticket = "dotnet-" + Process.GetCurrentProcess().Id + "-" + Interlocked.Increment(ref tickets);
            address = AddressIn(peer);
            Socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            if (how == Way.Immediate)
            {
                return;
            }
            if (connect == null)
            {
                Socket.Connect(address);
            }
            else
            {
                connect(Socket, address);
            }
            HandOver();
            if (how == Way.Upgraded)
            {
                Helper = helper == null ? new SslHelper(Socket, Host, true) : helper(Socket);
            }
        }

        public Way Way { get; private set; }

        public string Feature { get; private set; }

        public Socket Socket { get; private set; }

        /// <summary>The one that upgraded the socket; null in clear.</summary>
        public SslHelper Helper { get; private set; }

        public Peer Peer { get; private set; }

        /// <summary>Where the peer really is.</summary>
        public IPEndPoint PeerAddress
        {
            get { return address; }
        }

        public static IPEndPoint AddressIn(string variable)
        {
            string text = Environment.GetEnvironmentVariable(variable);
            if (text == null)
            {
                throw new InvalidOperationException(variable + " is not set");
            }
            int colon = text.LastIndexOf(':');
            return new IPEndPoint(IPAddress.Parse(text.Substring(0, colon)),
                int.Parse(text.Substring(colon + 1), CultureInfo.InvariantCulture));
        }

        /// <summary>The steps before the upgrade: the immediate way has none.</summary>
        public void InClear(Action steps)
        {
            if (Way == Way.Immediate)
            {
                return;
            }
            beforeTheUpgrade = true;
            steps();
            beforeTheUpgrade = false;
        }

        /// <summary>Makes the upgrade, or in clear nothing but a question to the peer at this point.</summary>
        public void Upgrade(params System.IO.TextReader[] readers)
        {
            switch (Way)
            {
                case Way.Upgraded:
                    Peer.Order("tls");
                    Helper.DoHandshake(readers);
                    break;
                case Way.Immediate:
                    Helper = SslHelper.Connect(Socket, address, Host);
                    HandOver();
                    break;
            }
            Peer.Order("nothing");
        }

        /// <summary>The same, awaited.</summary>
        public async Task UpgradeAsync()
        {
            if (Way == Way.Upgraded)
            {
                Peer.Order("tls");
                await Helper.DoHandshakeAsync().ConfigureAwait(false);
                Peer.Order("nothing");
            }
            else
            {
                Upgrade();
            }
        }

        /// <summary>Forgets the helper, without a Dispose.</summary>
        public void DropHelper()
        {
            Helper = null;
        }

        /// <summary>Forgets the socket, without a Dispose.</summary>
        public void DropSocket()
        {
            Socket = null;
            Helper = null;
        }

        /// <summary>Does it and tells the outcome under the label.</summary>
        public void See<T>(string label, Func<T> call)
        {
            Write(label, Outcome.Of(call));
        }

        /// <summary>Does it and tells the outcome under the label.</summary>
        public void See(string label, Action call)
        {
            Write(label, Outcome.Of(call));
        }

        /// <summary>Awaits it and tells the outcome under the label.</summary>
        public void SeeResult<T>(string label, Task<T> task)
        {
            Write(label, Outcome.Of(() => Wait(task)));
        }

        /// <summary>Awaits it and tells the outcome under the label.</summary>
        public void SeeEnd(string label, Task task)
        {
            Write(label, Outcome.Of(() => { Wait(task); }));
        }

        public static T Wait<T>(Task<T> task)
        {
            Wait((Task)task);
            return task.Result;
        }

        public static void Wait(Task task)
        {
            if (!task.Wait(Peer.PatienceMilliseconds))
            {
                throw new TimeoutException("not done within " + Peer.PatienceMilliseconds + " ms");
            }
        }

        /// <summary>The next bytes of the pattern for the peer to take.</summary>
        public byte[] Next(int length)
        {
            byte[] bytes = Bytes.Pattern(sent, length);
            sent += length;
            return bytes;
        }

        /// <summary>How many they are, if they are the next ones of what the peer sends.</summary>
        public string Check(byte[] buffer, int length)
        {
            return Check(buffer, 0, length);
        }

        public string Check(byte[] buffer, int offset, int length)
        {
            if (!Bytes.Matches(buffer, offset, length, received))
            {
                return length + " other bytes";
            }
            received += length;
            return length.ToString(CultureInfo.InvariantCulture);
        }

        public string Receive(int most)
        {
            byte[] buffer = new byte[most];
            return Check(buffer, Socket.Receive(buffer));
        }

        /// <summary>The peer sends, and all of it can be received.</summary>
        public void PeerSends(int length)
        {
            int waiting = Socket.Available;
            Peer.Order("send " + length);
            Until(() => Socket.Available == waiting + length);
        }

        /// <summary>The peer ends its direction, and that can be received; nothing may be waiting.</summary>
        public void PeerEnds()
        {
            Peer.Order("end");
            Until(() => Socket.Poll(1000, SelectMode.SelectRead));
        }

        /// <summary>The peer resets the connection, and that can be seen; nothing may be waiting.</summary>
        public void PeerResets()
        {
            Socket.Send(new byte[1]);
            Peer.Order("reset");
            Until(() => Socket.Poll(1000, SelectMode.SelectRead));
        }

        public static void Until(Func<bool> come)
        {
            Stopwatch watch = Stopwatch.StartNew();
            while (!come())
            {
                if (watch.ElapsedMilliseconds > Peer.PatienceMilliseconds)
                {
                    throw new TimeoutException("what has to come does not come");
                }
                Thread.Sleep(1);
            }
        }

        public void Dispose()
        {
            if (Peer != null)
            {
                Peer.Dispose();
            }
            if (Socket != null)
            {
                Socket.Dispose();
            }
        }

        private void HandOver()
        {
            Socket.Send(System.Text.Encoding.ASCII.GetBytes(ticket + "\n"));
            Peer = new Peer(ticket);
        }

        private void Write(string label, string text)
        {
            Report.Line("see", Way.ToString(), Feature, (beforeTheUpgrade ? "in clear: " : "") + label, text);
        }
    }
}
