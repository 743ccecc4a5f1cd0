using System;
using System.Collections.Generic;

namespace SslSock
{
    /// <summary>
    /// What verification found about the peer's certificate. It does not change and may be used by any thread.
    /// </summary>
    public sealed class VerifyReport
    {
        private static readonly DateTime Epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);

        private static readonly KeyValuePair<SslCauses, SslError>[] Order =
        {
            Pair(SslCauses.Malformed, SslError.BadData),
            Pair(SslCauses.Signature, SslError.BadSig),
            Pair(SslCauses.Pin, SslError.Pin),
            Pair(SslCauses.IssuerUnknown, SslError.CertUnknown),
            Pair(SslCauses.Revoked, SslError.CertRevoked),
            Pair(SslCauses.Expired, SslError.CertExpired),
            Pair(SslCauses.NotYetValid, SslError.NotYetValid),
            Pair(SslCauses.Name, SslError.Name),
            Pair(SslCauses.Usage, SslError.CertUnknown),
            Pair(SslCauses.WeakKey, SslError.CertUnknown),
            Pair(SslCauses.RevocationUnknown, SslError.CertUnknown)
        };

        private readonly byte[] spki;

        internal VerifyReport(Native.ssl_verify_report report)
        {
            Verdict = (SslVerdict)report.verdict;
            Causes = (SslCauses)report.causes;
            ChainLength = (int)report.chain_len;
            NotBefore = Time(report.not_before);
            NotAfter = Time(report.not_after);
            spki = report.spki_sha256;
        }

        /// <summary>The verdict; inside the certificate hook what verification says by itself.</summary>
        public SslVerdict Verdict { get; }

        /// <summary>Everything that is wrong at once.</summary>
        public SslCauses Causes { get; }

        /// <summary>How many certificates the peer sent: see <see cref="SslSocket.GetPeerCertificate"/>.</summary>
        public int ChainLength { get; }

        /// <summary>Start of the certificate's validity, UTC.</summary>
        public DateTime NotBefore { get; }

        /// <summary>End of the certificate's validity, UTC.</summary>
        public DateTime NotAfter { get; }

        /// <summary>SHA-256 of the certificate's SubjectPublicKeyInfo, for pinning.</summary>
        /// <returns>A copy of the 32 bytes.</returns>
        public byte[] GetSpkiSha256()
        {
            return (byte[])spki.Clone();
        }

        /// <summary>
        /// The code for the most important of the causes, in the library's order: form, signature, pin, issuer,
        /// revocation, expiry, not yet valid, name, usage, weak key, unknown revocation.
        /// </summary>
        internal SslError Error
        {
            get
            {
                if (Verdict == SslVerdict.NotAvailable)
                {
                    return SslError.NoCert;
                }
                foreach (var each in Order)
                {
                    if ((Causes & each.Key) != 0)
                    {
                        return each.Value;
                    }
                }
                return Causes == SslCauses.None ? SslError.Okay : SslError.CertUnknown;
            }
        }

        private static KeyValuePair<SslCauses, SslError> Pair(SslCauses cause, SslError error)
        {
            return new KeyValuePair<SslCauses, SslError>(cause, error);
        }

        /// <summary>Unix seconds. A time that does not say is local, as everywhere in .NET.</summary>
        internal static long Seconds(DateTime time)
        {
            return (long)Math.Floor((time.ToUniversalTime() - Epoch).TotalSeconds);
        }

        /// <summary>A certificate may name years that DateTime does not know.</summary>
        private static DateTime Time(long seconds)
        {
            if (seconds >= (long)(DateTime.MaxValue - Epoch).TotalSeconds)
            {
                return DateTime.SpecifyKind(DateTime.MaxValue, DateTimeKind.Utc);
            }
            if (seconds <= (long)(DateTime.MinValue - Epoch).TotalSeconds)
            {
                return DateTime.SpecifyKind(DateTime.MinValue, DateTimeKind.Utc);
            }
            return Epoch.AddSeconds(seconds);
        }
    }
}
