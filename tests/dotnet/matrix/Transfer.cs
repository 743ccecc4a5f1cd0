using System;
using System.Collections.Generic;
using System.IO;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Matrix
{
    /// <summary>Bytes there and back, by the calls that block.</summary>
    internal static class Transfer
    {
        private const int Mebibyte = 1024 * 1024;
        private const int DuplexBytes = 64 * Mebibyte;

        [Feature("Send, Receive")]
        private static void SendReceive(Conversation c)
        {
            c.InClear(() => ThereAndBack(c));
            c.Upgrade();
            ThereAndBack(c);
            c.See("Send of 0 bytes", () => c.Socket.Send(new byte[0]));
            c.PeerSends(20);
            c.See("Receive of 0 bytes", () => c.Socket.Receive(new byte[0]));
            byte[] buffer = new byte[10];
            SocketError error;
            c.See("Receive with offset and size", () =>
                c.Check(buffer, 3, c.Socket.Receive(buffer, 3, 6, SocketFlags.None, out error)));
            c.See("what is left", () => c.Receive(100));
            byte[] sent = new byte[10];
            c.Next(6).CopyTo(sent, 3);
            c.See("Send with offset and size", () => c.Socket.Send(sent, 3, 6, SocketFlags.None, out error));
            c.See("peer", () => c.Peer.Ask("take 6"));
        }

        internal static void ThereAndBack(Conversation c)
        {
            c.See("Send", () => c.Socket.Send(c.Next(10)));
            c.See("peer has them", () => c.Peer.Ask("take 10"));
            c.PeerSends(7);
            c.See("Receive", () => c.Receive(100));
        }

        [Feature("Send(IList<ArraySegment>)")]
        private static void Gather(Conversation c)
        {
            Action steps = () =>
            {
                c.See("Send", () => c.Socket.Send(Segments(c.Next(30), 10, 0, 15, 5)));
                c.See("peer", () => c.Peer.Ask("take 30"));
            };
            c.InClear(steps);
            c.Upgrade();
            steps();
        }

        [Feature("Receive(IList<ArraySegment>)")]
        private static void Scatter(Conversation c)
        {
            Action steps = () =>
            {
                c.PeerSends(25);
                byte[] whole = new byte[30];
                c.See("Receive", () => c.Check(whole, c.Socket.Receive(Segments(whole, 10, 0, 15, 5))));
            };
            c.InClear(steps);
            c.Upgrade();
            steps();
        }

        internal static IList<ArraySegment<byte>> Segments(byte[] whole, params int[] lengths)
        {
            List<ArraySegment<byte>> segments = new List<ArraySegment<byte>>();
            int at = 0;
            foreach (int length in lengths)
            {
                segments.Add(new ArraySegment<byte>(whole, at, length));
                at += length;
            }
            return segments;
        }

        [Feature("SocketFlags.Peek")]
        private static void Peek(Conversation c)
        {
            c.Upgrade();
            c.PeerSends(10);
            byte[] buffer = new byte[20];
            c.See("Peek of 4", () => c.Socket.Receive(buffer, 4, SocketFlags.Peek));
            c.See("again", () => c.Socket.Receive(buffer, 20, SocketFlags.Peek));
            c.See("Available", () => c.Socket.Available);
            c.See("Receive", () => c.Receive(20));
            c.PeerEnds();
            c.See("Peek at the end", () => c.Socket.Receive(buffer, 4, SocketFlags.Peek));
        }

        [Feature("SocketFlags.OutOfBand, ReceiveFrom, SendTo")]
        private static void OtherCalls(Conversation c)
        {
            c.Upgrade();
            c.PeerSends(10);
            byte[] buffer = new byte[20];
            c.See("Receive, OutOfBand", () => c.Socket.Receive(buffer, 20, SocketFlags.OutOfBand));
            EndPoint from = new IPEndPoint(IPAddress.Any, 0);
            c.See("ReceiveFrom", () => c.Check(buffer, c.Socket.ReceiveFrom(buffer, ref from)));
            c.See("SendTo", () => c.Socket.SendTo(c.Next(5), c.PeerAddress));
            c.See("peer", () => c.Peer.Ask("take 5"));
        }

        [Feature("reads of 1 byte")]
        private static void OneByteReads(Conversation c)
        {
            const int Length = 5000;
            c.Upgrade();
            c.Peer.Order("send " + Length);
            byte[] buffer = new byte[Length];
            c.See("bytes", () =>
            {
                int reads = 0;
                for (; reads < Length && c.Socket.Receive(buffer, reads, 1, SocketFlags.None) == 1; reads++)
                {
                }
                return c.Check(buffer, reads);
            });
            c.See("Available", () => c.Socket.Available);
        }

        [Feature("large writes")]
        private static void LargeWrites(Conversation c)
        {
            c.Upgrade();
            foreach (int size in new[] { 16384, 16385, Mebibyte, 8 * Mebibyte })
            {
                c.Peer.Begin("take " + size);
                c.See("Send of " + size, () => c.Socket.Send(c.Next(size)));
                c.See("peer", () => c.Peer.Answer());
            }
        }

        [Feature("SendFile")]
        private static void SendFile(Conversation c)
        {
            const int Length = 300000;
            string path = Path.GetTempFileName();
            try
            {
                c.Upgrade();
                c.Peer.Begin("take " + Length);
                File.WriteAllBytes(path, c.Next(Length));
                c.See("SendFile", () => c.Socket.SendFile(path));
                c.See("peer", () => c.Peer.Answer());
                c.Peer.Begin("take " + (10 + Length + 20));
                byte[] before = c.Next(10);
                File.WriteAllBytes(path, c.Next(Length));
                byte[] after = c.Next(20);
                c.See("with bytes before and after",
                    () => c.Socket.SendFile(path, before, after, TransmitFileOptions.UseDefaultWorkerThread));
                c.See("peer has all", () => c.Peer.Answer());
            }
            finally
            {
                File.Delete(path);
            }
        }

        [Feature("64 MiB both ways at once")]
        private static void Duplex(Conversation c)
        {
            c.Upgrade();
            c.Peer.Begin("duplex " + DuplexBytes);
            string sent = null;
            Thread sender = new Thread(() => sent = SendHashed(c.Socket));
            sender.Start();
            string received = ReceiveHashed(c.Socket);
            sender.Join();
            string[] answer = c.Peer.Answer().Split(' ');
            c.See("the peer has what was sent", () => answer[1] == sent);
            c.See("here is what the peer sent", () => answer[0] == received);
            c.See("how our direction ended", () => string.Join(" ", answer, 2, answer.Length - 2));
        }

        private static string SendHashed(Socket socket)
        {
            byte[] block = new byte[100000];
            new Random(1).NextBytes(block);
            using (Sha256 hash = new Sha256())
            {
                for (int left = DuplexBytes; left > 0;)
                {
                    int piece = Math.Min(left, block.Length);
                    block[left % block.Length] ^= (byte)left;
                    hash.Add(block, piece);
                    left -= socket.Send(block, piece, SocketFlags.None);
                }
                socket.Shutdown(SocketShutdown.Send);
                return hash.Hexadecimal();
            }
        }

        private static string ReceiveHashed(Socket socket)
        {
            byte[] buffer = new byte[100000];
            using (Sha256 hash = new Sha256())
            {
                for (int left = DuplexBytes; left > 0;)
                {
                    int piece = socket.Receive(buffer, Math.Min(left, buffer.Length), SocketFlags.None);
                    if (piece == 0)
                    {
                        return left + " bytes are missing";
                    }
                    hash.Add(buffer, piece);
                    left -= piece;
                }
                return hash.Hexadecimal();
            }
        }
    }
}
