using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using System.Threading.Tasks;
using SslSock;

namespace Matrix
{
    /// <summary>
    /// Ways for a process to end right after Send, as c-tests/ending.c and tests/ending.py. It says "ready", and sends
    /// when a line has come.
    /// </summary>
    internal static class Ends
    {
        private static Socket socket;
        private static byte[] data;

        /// <param name="how">One of the cases below.</param>
        /// <param name="size">How many bytes to send.</param>
        /// <param name="flags">Of the library, besides.</param>
        /// <returns>The status for the program's end.</returns>
        internal static int Run(string how, int size, int flags)
        {
            IPEndPoint address = Conversation.AddressIn("SSLSOCK_PEER");
            socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Connect(address);
            SslHelper helper = new SslHelper(socket, Conversation.Host, true);
            helper.SslSocket.Flags |= (SslFlags)flags;
            helper.DoHandshake();
            data = Bytes.Pattern(0, size);
            switch (how)
            {
                case "return":
                    Send();
                    return 0;
                case "exit":
                    Send();
                    Environment.Exit(0);
                    return 1;
                case "close":
                    Send();
                    socket.Close();
                    return 0;
                case "foreground":
                    // Main is over before anything is sent.
                    new Thread(Send).Start();
                    return 0;
                case "elsewhere":
                    Thread exiting = new Thread(() =>
                    {
                        Send();
                        Environment.Exit(0);
                    });
                    exiting.Start();
                    new ManualResetEvent(false).WaitOne();
                    return 1;
                case "reading":
                    Task<int> reading = socket.ReceiveAsync(new ArraySegment<byte>(new byte[10]), SocketFlags.None);
                    Send();
                    return reading.IsCompleted ? 1 : 0;
                case "async":
                    // What the compiler makes of "static async Task<int> Main".
                    return SendAsync().GetAwaiter().GetResult();
                default:
                    throw new ArgumentException("how is it to end: " + how);
            }
        }

        private static void Send()
        {
            Await();
            socket.Send(data);
        }

        private static async Task<int> SendAsync()
        {
            Await();
            await Task.Yield();
            for (int sent = 0; sent < data.Length;)
            {
                sent += await socket.SendAsync(new ArraySegment<byte>(data, sent, data.Length - sent), SocketFlags.None)
                    .ConfigureAwait(false);
            }
            return 0;
        }

        private static void Await()
        {
            Console.WriteLine("ready");
            Console.Out.Flush();
            Console.ReadLine();
        }

        /// <summary>Ends by an exception that nobody catches, with a socket of this way in use.</summary>
        internal static int Unhandled(Way way)
        {
            Conversation c = new Conversation(way);
            c.Upgrade();
            c.Socket.Send(c.Next(10));
            c.Peer.Order("take 10");
            Thread thread = new Thread(() =>
            {
                throw new InvalidOperationException("nobody catches this");
            });
            thread.Start();
            thread.Join();
            new ManualResetEvent(false).WaitOne();
            return 0;
        }
    }
}
