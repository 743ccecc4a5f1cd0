namespace SslSock
{
    /// <summary>What <see cref="SslSocket.VerifyChain"/> has found.</summary>
    public sealed class ChainVerdict
    {
        internal ChainVerdict(int code, string text, VerifyReport report)
        {
            Code = (SslError)code;
            Text = text;
            Report = report;
        }

        /// <summary>Whether the chain is trusted.</summary>
        public bool IsTrusted
        {
            get { return Code == SslError.Okay; }
        }

        /// <summary>Okay, or the code of what is most important of all that is wrong.</summary>
        public SslError Code { get; }

        /// <summary>All that is wrong; empty if nothing is. What comes out of the certificate is escaped.</summary>
        public string Text { get; }

        /// <summary>Everything that is wrong at once, the dates, the key's hash.</summary>
        public VerifyReport Report { get; }

        /// <summary>The code's name and the text.</summary>
        public override string ToString()
        {
            return Text.Length == 0 ? Code.ToString() : Code + ": " + Text;
        }
    }
}
