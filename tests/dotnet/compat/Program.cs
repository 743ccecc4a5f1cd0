// The test program of tests/dotnet/compat.py: its first argument is a case, a static method of one of the classes
// named ...Cases; the others are the method's. A case that fails throws.
using System;
using System.IO;
using System.Linq;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Text;
using System.Threading;
using SslSock;
using Socket = SslSock.Compat.Socket;

namespace SslTest
{
    static class Program
    {
        public const SocketOptionName SO_SECURE = (SocketOptionName)0x2001;
        public const int SO_SEC_NONE = 0x2002;
        public const int SO_SEC_SSL = 0x2004;

        public static int HookCalls;

        static int Main(string[] arguments)
        {
            string authority = Environment.GetEnvironmentVariable("SSLSOCK_TEST_CA");
            if (authority != null)
                SslDefaults.AddTrustFile(authority);
            MethodInfo found = Assembly.GetExecutingAssembly().GetTypes()
                .Where(type => type.Name.EndsWith("Cases"))
                .Select(type => type.GetMethod(arguments[0], BindingFlags.Static | BindingFlags.Public))
                .Single(method => method != null);
            try
            {
                found.Invoke(null, arguments.Skip(1).ToArray());
            }
            catch (TargetInvocationException thrown)
            {
                Console.WriteLine(thrown.InnerException);
                return 1;
            }
            return 0;
        }

        public static void Check(bool condition, string what)
        {
            if (!condition)
                throw new Exception("not so: " + what);
        }

        public static void Equal(object expected, object actual, string what)
        {
            if (!Equals(expected, actual))
                throw new Exception(what + ": expected " + expected + ", got " + actual);
        }

        public static T Throws<T>(Action action, string what) where T : Exception
        {
            try
            {
                action();
            }
            catch (T expected)
            {
                return expected;
            }
            throw new Exception(what + " did not throw " + typeof(T).Name);
        }

        public static SslSocketException Fails(SslError code, Action action, string what)
        {
            SslSocketException failure = Throws<SslSocketException>(action, what);
            Equal((int)code, failure.Code, what + ": " + failure.Message);
            return failure;
        }

        public static IPEndPoint Address(string hostPort)
        {
            int colon = hostPort.LastIndexOf(':');
            return new IPEndPoint(IPAddress.Parse(hostPort.Substring(0, colon)), int.Parse(hostPort.Substring(colon + 1)));
        }

        public static Socket NewSocket()
        {
            return new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
            {
                ReceiveTimeout = 30000, SendTimeout = 30000
            };
        }

        public static Socket NewSecure()
        {
            Socket socket = NewSocket();
            socket.SetSocketOption(SocketOptionLevel.Socket, SO_SECURE, SO_SEC_SSL);
            return socket;
        }

        /// <summary>A line of the peer, read byte by byte.</summary>
        public static string ReadLine(System.Net.Sockets.Socket socket)
        {
            StringBuilder line = new StringBuilder();
            byte[] one = new byte[1];
            while (socket.Receive(one) == 1)
            {
                if (one[0] == '\n')
                    return line.ToString().TrimEnd('\r');
                line.Append((char)one[0]);
            }
            throw new EndOfStreamException("the peer ended after \"" + line + "\"");
        }

        public static void Say(System.Net.Sockets.Socket socket, string text)
        {
            socket.Send(Encoding.ASCII.GetBytes(text + "\r\n"));
        }

        /// <summary>Makes the connection in one of the ways there are, and throws what went wrong.</summary>
        public static void Connect(string way, Socket socket, EndPoint endPoint)
        {
            switch (way)
            {
                case "connect":
                    socket.Connect(endPoint);
                    break;
                case "begin":
                    object state = new object();
                    IAsyncResult given = null;
                    ManualResetEvent called = new ManualResetEvent(false);
                    IAsyncResult result = socket.BeginConnect(
                        endPoint, one => { given = one; called.Set(); }, state);
                    Check(called.WaitOne(60000), "the callback is called");
                    Check(ReferenceEquals(given, result), "the callback gets the result");
                    Check(ReferenceEquals(result.AsyncState, state), "AsyncState");
                    Check(result.IsCompleted && result.AsyncWaitHandle.WaitOne(0), "it is completed");
                    socket.EndConnect(result);
                    break;
                case "task":
                    socket.ConnectAsync(endPoint).GetAwaiter().GetResult();
                    break;
                case "event":
                    SocketAsyncEventArgs arguments = new SocketAsyncEventArgs { RemoteEndPoint = endPoint, UserToken = way };
                    ManualResetEvent raised = new ManualResetEvent(false);
                    object sender = null;
                    arguments.Completed += (from, one) => { sender = from; raised.Set(); };
                    if (socket.ConnectAsync(arguments))
                    {
                        Check(raised.WaitOne(60000), "Completed is raised");
                        Check(ReferenceEquals(sender, socket), "the sender is the socket");
                    }
                    Equal(SocketAsyncOperation.Connect, arguments.LastOperation, "LastOperation");
                    Equal(endPoint, arguments.RemoteEndPoint, "RemoteEndPoint stays");
                    if (arguments.SocketError != SocketError.Success)
                        throw new SocketException((int)arguments.SocketError);
                    Check(ReferenceEquals(arguments.ConnectSocket, socket), "ConnectSocket");
                    break;
                default:
                    throw new ArgumentException(way);
            }
        }
    }
}
