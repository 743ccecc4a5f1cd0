// How connecting goes on and goes wrong.
using System;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using SslSock;
using Socket = SslSock.Compat.Socket;

namespace SslTest
{
    public static class ConnectCases
    {
        private const int SET_FLAGS = unchecked((int)0x90730002);
        private const int PERFORM_HANDSHAKE = 0x1073000D;

        [DllImport("libc")]
        private static extern int fcntl(int descriptor, int command, int argument);

        /// <summary>Every overload of the base class by which a program could get past this one is hidden.</summary>
        public static void EveryOverloadIsHidden(string unused)
        {
            string[] names =
            {
                "Connect", "BeginConnect", "EndConnect", "ConnectAsync", "IOControl", "SetSocketOption", "GetSocketOption"
            };
            const BindingFlags Declared = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static
                | BindingFlags.DeclaredOnly;
            MethodInfo[] bases = typeof(System.Net.Sockets.Socket).GetMethods(Declared)
                .Where(method => names.Contains(method.Name)).ToArray();
            Program.Check(bases.Length >= 20, "the base class has them: " + bases.Length);
            foreach (MethodInfo method in bases)
            {
                Type[] parameters = method.GetParameters().Select(one => one.ParameterType).ToArray();
                MethodInfo hiding = typeof(Socket).GetMethod(method.Name, Declared, null, parameters, null);
                Program.Check(hiding != null && hiding.IsStatic == method.IsStatic, "hidden: " + method);
            }
            // An extension method is beaten by a method of the same arguments.
            MethodInfo[] extensions = typeof(SocketTaskExtensions).GetMethods(Declared)
                .Where(method => method.Name == "ConnectAsync").ToArray();
            Program.Check(extensions.Length >= 4, "there are extension methods: " + extensions.Length);
            foreach (MethodInfo method in extensions)
            {
                Type[] parameters = method.GetParameters().Skip(1).Select(one => one.ParameterType).ToArray();
                Program.Check(
                    typeof(Socket).GetMethod(method.Name, Declared, null, parameters, null) != null, "beaten: " + method);
            }
            foreach (string property in new[] { "RemoteEndPoint", "LocalEndPoint" })
                Program.Check(typeof(Socket).GetProperty(property, Declared) != null, "hidden: " + property);
        }

        /// <summary>Whoever gets past it sends nothing: the peer records.</summary>
        public static void PastIt(string way, string plain, string dead)
        {
            Socket s = Program.NewSecure();
            System.Net.Sockets.Socket past = s;
            byte[] secret = Encoding.ASCII.GetBytes("secret\r\n");
            // However often it is tried; CoreCLR refuses the second time by itself.
            foreach (string address in new[] { dead, plain, plain })
                Program.Throws<Exception>(() => past.Connect(Program.Address(address)), way);
            switch (way)
            {
                case "send":
                    Program.Throws<SocketException>(() => past.Send(secret), way);
                    break;
                case "send-as-declared":
                    Program.Throws<SocketException>(() => s.Send(secret), way);
                    break;
                case "stream":
                    Program.Throws<System.IO.IOException>(
                        () => new NetworkStream(s).Write(secret, 0, secret.Length), way);
                    break;
                case "begin-send":
                    Program.Throws<SocketException>(
                        () => past.EndSend(past.BeginSend(secret, 0, secret.Length, SocketFlags.None, null, null)), way);
                    break;
                case "send-async":
                    Program.Throws<Exception>(
                        () => past.SendAsync(new ArraySegment<byte>(secret), SocketFlags.None).Wait(), way);
                    break;
                case "send-event":
                    SocketAsyncEventArgs arguments = new SocketAsyncEventArgs();
                    arguments.SetBuffer(secret, 0, secret.Length);
                    ManualResetEvent raised = new ManualResetEvent(false);
                    arguments.Completed += (from, one) => raised.Set();
                    if (past.SendAsync(arguments))
                    {
                        // Mono waits until it can be written to, which it never can.
                        s.Close();
                        Program.Check(raised.WaitOne(30000), "Completed is raised");
                    }
                    Program.Check(arguments.SocketError != SocketError.Success, way);
                    break;
                case "control-code":
                    // Nor a handshake.
                    Program.Throws<SocketException>(() => s.IOControl(PERFORM_HANDSHAKE, null, null), way);
                    Program.Throws<SocketException>(() => past.Send(secret), way);
                    break;
                default:
                    throw new ArgumentException(way);
            }
            s.Close();
        }

        /// <summary>A secure socket is bound like any other, before it is connected.</summary>
        public static void Bound(string tls)
        {
            SslDefaults.PeerName = "mail.test";
            using (Socket s = Program.NewSecure())
            {
                IPAddress address = IPAddress.Parse("127.0.0.9");
                s.Bind(new IPEndPoint(address, 0));
                s.Connect(Program.Address(tls));
                Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
                Program.Equal(address.ToString(), ((IPEndPoint)s.LocalEndPoint).Address.ToString(), "the address");
            }
            using (Socket s = Program.NewSecure())
            {
                s.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                Program.Throws<Exception>(() => ((System.Net.Sockets.Socket)s).Connect(Program.Address(tls)), "past it");
            }
        }

        /// <summary>The other ways of the base class to connect.</summary>
        public static void PastItConnecting(string way, string plain)
        {
            Socket s = Program.NewSecure();
            System.Net.Sockets.Socket past = s;
            IPEndPoint endPoint = Program.Address(plain);
            byte[] secret = Encoding.ASCII.GetBytes("secret\r\n");
            switch (way)
            {
                case "begin":
                    Program.Throws<SocketException>(() => past.EndConnect(past.BeginConnect(endPoint, null, null)), way);
                    break;
                case "task":
                    Program.Throws<Exception>(() => past.ConnectAsync(endPoint).Wait(), way);
                    break;
                case "event":
                    SocketAsyncEventArgs arguments = new SocketAsyncEventArgs { RemoteEndPoint = endPoint };
                    ManualResetEvent raised = new ManualResetEvent(false);
                    arguments.Completed += (from, one) => raised.Set();
                    if (past.ConnectAsync(arguments))
                        Program.Check(raised.WaitOne(30000), "Completed is raised");
                    Program.Check(arguments.SocketError != SocketError.Success, way);
                    break;
                case "extension":
                    Program.Throws<Exception>(() => SocketTaskExtensions.ConnectAsync(s, endPoint).Wait(), way);
                    break;
                default:
                    throw new ArgumentException(way);
            }
            Program.Throws<SocketException>(() => past.Send(secret), way);
            s.Close();
        }

        /// <summary>A connect that fails can be tried again, and meanwhile the socket is held.</summary>
        public static void Again(string way, string tls, string dead, string plain)
        {
            SslDefaults.PeerName = "mail.test";
            using (Socket s = Program.NewSecure())
            {
                SocketException refused = Program.Throws<SocketException>(
                    () => Program.Connect(way, s, Program.Address(dead)), way);
                Program.Equal(SocketError.ConnectionRefused, refused.SocketErrorCode, "the error");
                if (way != "event")
                {
                    Program.Connect(way, s, Program.Address(tls));
                    Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
                }
            }
            using (Socket s = Program.NewSecure())
            {
                Program.Throws<SocketException>(() => Program.Connect(way, s, Program.Address(dead)), way);
                Program.Throws<Exception>(() => ((System.Net.Sockets.Socket)s).Connect(Program.Address(plain)), way);
                Program.Throws<SocketException>(() => Program.Say(s, "secret"), "Send");
            }
        }

        /// <summary>Of several addresses the first that can be reached.</summary>
        public static void Several(string tls, string dead)
        {
            SslDefaults.PeerName = "mail.test";
            // Nothing listens on the other address.
            IPAddress[] addresses = { IPAddress.Parse("127.0.0.77"), IPAddress.Loopback };
            int port = Program.Address(tls).Port;
            Action<Socket>[] ways =
            {
                s => s.Connect(addresses, port),
                s => s.EndConnect(s.BeginConnect(addresses, port, null, null)),
                s => s.ConnectAsync(addresses, port).Wait(),
            };
            foreach (Action<Socket> connect in ways)
            {
                using (Socket s = Program.NewSecure())
                {
                    connect(s);
                    Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
                    Program.Equal(Program.Address(tls), s.RemoteEndPoint, "RemoteEndPoint");
                }
            }
            using (Socket s = Program.NewSecure())
            {
                Program.Throws<SocketException>(
                    () => s.Connect(new[] { IPAddress.IPv6Loopback }, port), "an address of another family");
            }
        }

        /// <summary>An IPv6 socket that takes IPv4 addresses too.</summary>
        public static void DualMode(string tls)
        {
            SslDefaults.PeerName = "mail.test";
            using (Socket s = new Socket(SocketType.Stream, ProtocolType.Tcp))
            {
                s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_SSL);
                s.Connect(Program.Address(tls));
                Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
            }
        }

        /// <summary>A socket that does not block: Connect waits for the handshake, and leaves the socket so.</summary>
        public static void NonBlocking(string tls)
        {
            SslDefaults.PeerName = "mail.test";
            using (Socket s = Program.NewSecure())
            {
                s.Blocking = false;
                s.Connect(Program.Address(tls));
                Program.Check(!s.Blocking, "it still does not block");
                Program.Check(s.Poll(30000000, SelectMode.SelectRead), "the peer's line comes");
                Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
            }
            // One that blocks goes on blocking.
            foreach (int flags in new[] { 0, 8 })
            {
                using (Socket s = Program.NewSecure())
                {
                    s.IOControl(SET_FLAGS, BitConverter.GetBytes(flags), null);
                    s.Connect(Program.Address(tls));
                    const int F_GETFL = 3, O_NONBLOCK = 0x800;
                    Program.Equal(0, fcntl(s.Handle.ToInt32(), F_GETFL, 0) & O_NONBLOCK, "O_NONBLOCK");
                }
            }
            // Deferred, Connect comes back before the connection is there, as on any socket.
            using (Socket s = Program.NewSecure())
            {
                s.IOControl(SET_FLAGS, BitConverter.GetBytes(8), null);
                s.Blocking = false;
                try
                {
                    s.Connect(Program.Address(tls));
                }
                catch (SocketException pending)
                {
                    Program.Check(
                        pending.SocketErrorCode == SocketError.WouldBlock || pending.SocketErrorCode == SocketError.InProgress,
                        "it goes on: " + pending.SocketErrorCode);
                }
                Program.Check(s.Poll(30000000, SelectMode.SelectWrite), "it is connected");
                s.Blocking = true;
                s.IOControl(PERFORM_HANDSHAKE, null, null);
                Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
            }
        }

        /// <summary>A helper that does not defer makes the handshake in Connect, whatever the defaults say.</summary>
        public static void HelperAndDefaults(string tls)
        {
            SslDefaults.Flags = SslFlags.DeferHandshake;
            using (Socket s = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                SslSock.SslHelper helper = new SslSock.SslHelper(s, "mail.test");
                s.Connect(Program.Address(tls));
                Program.Check(helper.SslSocket.IsSecure, "TLS");
                Program.Equal("sni mail.test", Program.ReadLine(s), "the peer's line");
            }
        }

        /// <summary>Misuse of the results, and of a socket that is being connected.</summary>
        public static void Results(string tls, string silent)
        {
            SslDefaults.PeerName = "mail.test";
            using (Socket s = Program.NewSecure())
            using (Socket other = Program.NewSecure())
            {
                IAsyncResult result = s.BeginConnect(Program.Address(tls), null, null);
                Program.Throws<ArgumentException>(() => other.EndConnect(result), "another socket's result");
                s.EndConnect(result);
                Program.Throws<InvalidOperationException>(() => s.EndConnect(result), "a second EndConnect");
            }
            using (Socket s = Program.NewSecure())
            {
                IAsyncResult result = s.BeginConnect(Program.Address(silent), null, null);
                Program.Throws<InvalidOperationException>(
                    () => s.Connect(Program.Address(tls)), "a second Connect meanwhile");
                Program.Throws<SocketException>(
                    () => s.SetSocketOption(SocketOptionLevel.Socket, Program.SO_SECURE, Program.SO_SEC_NONE),
                    "SO_SEC_NONE meanwhile");
                // The peer never answers the handshake.
                s.Close();
                Program.Throws<Exception>(() => s.EndConnect(result), "EndConnect after Close");
            }
            using (Socket s = Program.NewSecure())
            using (CancellationTokenSource cancel = new CancellationTokenSource())
            {
                Task connecting = s.ConnectAsync(Program.Address(silent), cancel.Token);
                cancel.Cancel();
                Program.Throws<AggregateException>(connecting.Wait, "a cancelled ConnectAsync");
                Program.Check(connecting.IsCanceled, "it is cancelled");
                Program.Throws<Exception>(() => Program.Say(s, "secret"), "Send");
            }
            using (Socket s = Program.NewSecure())
            using (CancellationTokenSource cancel = new CancellationTokenSource())
            {
                s.BeginConnect(Program.Address(silent), null, null);
                Program.Throws<InvalidOperationException>(
                    () => s.ConnectAsync(Program.Address(tls), cancel.Token), "ConnectAsync meanwhile");
                cancel.Cancel();
                Program.Check(s.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Type) != null, "it is open");
            }
            using (Socket s = Program.NewSecure())
            {
                SocketAsyncEventArgs withData = new SocketAsyncEventArgs { RemoteEndPoint = Program.Address(tls) };
                withData.SetBuffer(Encoding.ASCII.GetBytes("secret"), 0, 6);
                Program.Fails(SslError.Unsupported, () => s.ConnectAsync(withData), "ConnectAsync with data");
                Program.Throws<ArgumentNullException>(() => s.Connect((EndPoint)null), "no address");
                Program.Throws<ArgumentNullException>(() => s.Connect((string)null, 1), "no host");
                Program.Throws<ArgumentOutOfRangeException>(() => s.Connect("localhost", -1), "no port");
                Program.Throws<SocketException>(() => s.Connect("no.such.name.invalid", 1), "no such host");
                s.Connect(Program.Address(tls));
                Program.Throws<SocketException>(() => s.Connect(Program.Address(tls)), "Connect twice");
                Program.Equal("sni mail.test", Program.ReadLine(s), "it goes on");
            }
        }

        /// <summary>A socket that is never made secure is the base class's, and so is what Accept answers.</summary>
        public static void Ordinary(string plain)
        {
            foreach (string way in new[] { "connect", "begin", "task", "event" })
            {
                using (Socket s = Program.NewSocket())
                {
                    Program.Connect(way, s, Program.Address(plain));
                    Program.Say(s, way);
                    Program.Equal(Program.Address(plain), s.RemoteEndPoint, "RemoteEndPoint");
                }
            }
            using (Socket listener = Program.NewSocket())
            using (Socket client = Program.NewSocket())
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                listener.Listen(1);
                client.Connect(listener.LocalEndPoint);
                using (System.Net.Sockets.Socket accepted = listener.Accept())
                {
                    Program.Equal(typeof(System.Net.Sockets.Socket), accepted.GetType(), "what Accept answers");
                    Program.Say(client, "hello");
                    Program.Equal("hello", Program.ReadLine(accepted), "what comes");
                }
            }
        }
    }
}
