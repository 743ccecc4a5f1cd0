using System;
using System.IO;
using System.Net.Sockets;
using System.Text;
using System.Threading.Tasks;

namespace Matrix
{
    /// <summary>The peer, as a control connection commands it: see tests/controlled_peer.py.</summary>
    public sealed class Peer : IDisposable
    {
        public const int PatienceMilliseconds = 20000;

        private readonly Socket control;
        private readonly StreamReader answers;

        public Peer(string ticket)
        {
            control = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            control.NoDelay = true;
            control.Connect(Conversation.AddressIn("SSLSOCK_CALLS_CONTROL"));
            answers = new StreamReader(new NetworkStream(control), Encoding.ASCII);
            Order(ticket);
        }

        /// <summary>Gives the command; its answer is still to be read.</summary>
        public void Begin(string command)
        {
            control.Send(Encoding.ASCII.GetBytes(command + "\n"));
        }

        public string Answer()
        {
            string line = answers.ReadLine();
            if (line == null)
            {
                throw new EndOfStreamException("the peer does not answer");
            }
            return line;
        }

        public string Ask(string command)
        {
            Begin(command);
            return Answer();
        }

        public void Order(string command)
        {
            string answer = Ask(command);
            if (answer != "ok")
            {
                throw new InvalidOperationException("the peer answers \"" + answer + "\" to \"" + command + "\"");
            }
        }

        /// <summary>The control connection's end is the end of the peer's.</summary>
        public void Dispose()
        {
            control.Dispose();
        }
    }
}
