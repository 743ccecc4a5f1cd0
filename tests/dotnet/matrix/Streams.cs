using System;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>NetworkStream, and readers and writers over it.</summary>
    internal static class Streams
    {
        [Feature("NetworkStream made after")]
        private static void MadeAfter(Conversation c)
        {
            c.Upgrade();
            using (NetworkStream stream = new NetworkStream(c.Socket))
            {
                UseStream(c, stream);
                StreamAtTheEnd(c, stream);
            }
        }

        [Feature("NetworkStream made before", NeedsClearText = true)]
        private static void MadeBefore(Conversation c)
        {
            using (NetworkStream stream = new NetworkStream(c.Socket))
            {
                c.InClear(() => UseStream(c, stream));
                c.Upgrade();
                UseStream(c, stream);
                StreamAtTheEnd(c, stream);
            }
        }

        private static void UseStream(Conversation c, NetworkStream stream)
        {
            c.See("CanRead, CanWrite, CanTimeout, CanSeek", () =>
                string.Join(" ", stream.CanRead, stream.CanWrite, stream.CanTimeout, stream.CanSeek));
            c.See("DataAvailable", () => stream.DataAvailable);
            c.See("Write", () => stream.Write(c.Next(12), 0, 12));
            c.See("WriteByte", () => stream.WriteByte(c.Next(1)[0]));
            c.See("Flush", () => stream.Flush());
            c.See("peer", () => c.Peer.Ask("take 13"));
            c.PeerSends(9);
            c.See("DataAvailable with data", () => stream.DataAvailable);
            byte[] buffer = new byte[20];
            c.See("ReadByte", () => c.Check(new[] { (byte)stream.ReadByte() }, 1));
            c.See("Read", () => c.Check(buffer, stream.Read(buffer, 0, 20)));
            Task<int> reading = stream.ReadAsync(buffer, 0, 20);
            c.See("ReadAsync before there is data", () => reading.IsCompleted);
            c.Peer.Order("send 8");
            c.SeeResult("ReadAsync", Checked(c, buffer, reading));
            c.SeeEnd("WriteAsync", stream.WriteAsync(c.Next(30), 0, 30));
            c.SeeEnd("FlushAsync", stream.FlushAsync());
            c.See("peer has them", () => c.Peer.Ask("take 30"));
            IAsyncResult result = stream.BeginRead(buffer, 0, 20, null, null);
            c.Peer.Order("send 4");
            c.See("EndRead", () => c.Check(buffer, stream.EndRead(result)));
            c.See("EndWrite", () => stream.EndWrite(stream.BeginWrite(c.Next(3), 0, 3, null, null)));
            c.See("peer has these", () => c.Peer.Ask("take 3"));
        }

        private static void StreamAtTheEnd(Conversation c, NetworkStream stream)
        {
            byte[] buffer = new byte[20];
            c.PeerEnds();
            c.See("Read at the end", () => stream.Read(buffer, 0, 20));
            c.See("ReadByte at the end", () => stream.ReadByte());
            c.SeeResult("ReadAsync at the end", stream.ReadAsync(buffer, 0, 20));
        }

        private static async Task<string> Checked(Conversation c, byte[] buffer, Task<int> reading)
        {
            return c.Check(buffer, await reading.ConfigureAwait(false));
        }

        [Feature("ReadTimeout, WriteTimeout of a stream made after")]
        private static void TimeoutsAfter(Conversation c)
        {
            c.Upgrade();
            using (NetworkStream stream = new NetworkStream(c.Socket))
            {
                c.See("defaults", () => stream.ReadTimeout + " " + stream.WriteTimeout);
                stream.ReadTimeout = stream.WriteTimeout = 80;
                Timeouts(c, stream);
            }
        }

        [Feature("ReadTimeout, WriteTimeout set before", NeedsClearText = true)]
        private static void TimeoutsBefore(Conversation c)
        {
            using (NetworkStream stream = new NetworkStream(c.Socket))
            {
                stream.ReadTimeout = stream.WriteTimeout = 80;
                c.Upgrade();
                Timeouts(c, stream);
            }
        }

        private static void Timeouts(Conversation c, NetworkStream stream)
        {
            byte[] buffer = new byte[10];
            c.See("values", () => stream.ReadTimeout + " " + stream.WriteTimeout);
            c.See("Read", () => stream.Read(buffer, 0, 10));
            c.PeerSends(5);
            c.See("Read of data", () => c.Check(buffer, stream.Read(buffer, 0, 10)));
            if (Runtime.SendReturnsWhenFull)
            {
                c.See("Write to a peer that takes nothing", () =>
                {
                    byte[] block = new byte[65536];
                    while (true)
                    {
                        stream.Write(block, 0, block.Length);
                    }
                });
            }
        }

        [Feature("StreamReader, StreamWriter across the upgrade", NeedsClearText = true)]
        private static void ReaderAndWriter(Conversation c)
        {
            NetworkStream stream = new NetworkStream(c.Socket);
            StreamReader reader = new StreamReader(stream, Encoding.ASCII);
            StreamWriter writer = new StreamWriter(stream, Encoding.ASCII) { NewLine = "\r\n", AutoFlush = true };
            Action lines = () =>
            {
                c.Peer.Begin("line");
                c.See("WriteLine", () => writer.WriteLine("STARTTLS or what comes after it"));
                c.See("peer", () => c.Peer.Answer());
                c.Peer.Order("say 220 go ahead");
                c.See("ReadLine", () => reader.ReadLine());
            };
            c.InClear(lines);
            c.Upgrade(reader);
            lines();
            c.Peer.Order("say 250-two lines");
            c.Peer.Order("say 250 in one reading or two");
            c.See("ReadLine again", () => reader.ReadLine());
            c.See("and again", () => reader.ReadLine());
            Task<string> reading = reader.ReadLineAsync();
            c.Peer.Order("say a line that is awaited");
            c.SeeResult("ReadLineAsync", reading);
            c.Peer.Begin("line");
            c.SeeEnd("WriteLineAsync", writer.WriteLineAsync("NOOP"));
            c.See("peer has it", () => c.Peer.Answer());
            c.Peer.Order("say the rest");
            c.PeerEnds();
            c.See("ReadToEnd", () => reader.ReadToEnd().Trim());
        }

        [Feature("new StreamReader, StreamWriter, CopyTo")]
        private static void NewReader(Conversation c)
        {
            c.Upgrade();
            using (NetworkStream stream = new NetworkStream(c.Socket))
            using (StreamReader reader = new StreamReader(stream, Encoding.ASCII))
            {
                c.Peer.Order("say hello");
                c.See("ReadLine", () => reader.ReadLine());
                MemoryStream rest = new MemoryStream();
                Task copying = stream.CopyToAsync(rest);
                c.Peer.Order("send 100000");
                c.Peer.Order("end");
                c.SeeEnd("CopyToAsync", copying);
                c.See("copied", () => c.Check(rest.ToArray(), (int)rest.Length));
                new MemoryStream(c.Next(200000)).CopyTo(stream);
                c.See("CopyTo", () => c.Peer.Ask("take 200000"));
            }
        }

        [Feature("NetworkStream that owns the socket")]
        private static void OwnsTheSocket(Conversation c)
        {
            c.Upgrade();
            NetworkStream stream = new NetworkStream(c.Socket, true);
            stream.Write(c.Next(10), 0, 10);
            stream.Dispose();
            c.See("peer", () => c.Peer.Ask("ending"));
            c.See("Read", () => stream.Read(new byte[1], 0, 1));
            c.See("the socket", () => c.Socket.Available);
        }
    }
}
