namespace SslSock.Compat
{
    /// <summary>The numbers of Windows CE's secure sockets, as its headers have them.</summary>
    public static class SecureSockets
    {
        /// <summary>The socket option that makes a socket secure.</summary>
        public const int SO_SECURE = 0x2001;

        /// <summary>The option's value for a socket that is not secure.</summary>
        public const int SO_SEC_NONE = 0x2002;

        /// <summary>The option's value for a secure socket.</summary>
        public const int SO_SEC_SSL = 0x2004;

        internal const uint FamilyMask = 0x07FF0000;
        internal const uint Family = 0x00730000;
        internal const uint PerformHandshake = 0x1073000D;
        internal const uint SetValidateCertHook = 0x90730008;
        internal const uint GetValidateCertHook = 0x50730008;
        internal const uint SetAuthRequestHook = 0x90730009;
        internal const uint SetSignatureHook = 0x9073000B;

        /// <summary>The tag of the peer name's codes: more than one direction is in use for it.</summary>
        internal const uint PeerNameTag = 0x0F;
        internal const uint TagMask = 0xFF;

        internal static bool IsOurs(uint code)
        {
            return (code & FamilyMask) == Family;
        }
    }
}
