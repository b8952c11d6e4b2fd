"""Signed callers (STIR/SHAKEN): whether somebody whom we trust vouches for the number that calls.

An Identity field of an INVITE (RFC 8224) holds a PASSporT (RFC 8225): who calls whom and when, signed with the key of a
certificate that the field has the URL of. The certificate leads to a trust anchor and says whose numbers it is for (RFC
8226). A PASSporT of type `shaken` (RFC 8588) adds how well its signer knows the caller: attestation A, B or C; one of
type `div` (RFC 8946) says that the call was sent on from one number to another.

    section.py      what can be configured
    anchors.py      the trust anchors
    passport.py     an Identity field, read
    credential.py   a certificate, its path to an anchor, the numbers that it is for
    repository.py   certificates by their URLs, remembered
    verdict.py      what verifying comes to, and what a SIP response says of it
    verifier.py     all of that for one call
"""
