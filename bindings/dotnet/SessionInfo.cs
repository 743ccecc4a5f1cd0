using System;
using System.Text;

namespace SslSock
{
    /// <summary>What was agreed in the handshake. It does not change and may be used by any thread.</summary>
    public sealed class SessionInfo
    {
        internal SessionInfo(Native.ssl_session_info info)
        {
            DataPath = (SslDataPath)info.datapath;
            Protocol = info.protocol;
            Suite = info.suite;
            Group = info.group;
            IsResumed = info.resumed != 0;
            Alpn = Encoding.ASCII.GetString(info.alpn, 0, info.alpn_len);
            ProtocolName = Native.Text(info.protocol_name);
            SuiteName = Native.Text(info.suite_name);
            GroupName = Native.Text(info.group_name);
        }

        /// <summary>How the data travels.</summary>
        public SslDataPath DataPath { get; }

        /// <summary>The version as on the wire: 0x0303 for TLS 1.2, 0x0304 for TLS 1.3.</summary>
        public int Protocol { get; }

        /// <summary>The cipher suite's IANA number.</summary>
        public int Suite { get; }

        /// <summary>The key-exchange group's IANA number.</summary>
        public int Group { get; }

        /// <summary>Whether an earlier session was resumed.</summary>
        public bool IsResumed { get; }

        /// <summary>The application protocol agreed by ALPN; empty if none was.</summary>
        public string Alpn { get; }

        /// <summary>As "TLSv1.3".</summary>
        public string ProtocolName { get; }

        /// <summary>As "TLS_AES_128_GCM_SHA256".</summary>
        public string SuiteName { get; }

        /// <summary>As "X25519".</summary>
        public string GroupName { get; }

        /// <summary>As "TLSv1.3, TLS_AES_128_GCM_SHA256, X25519".</summary>
        /// <returns>Version, suite and group.</returns>
        public override string ToString()
        {
            return ProtocolName + ", " + SuiteName + ", " + GroupName;
        }
    }
}
