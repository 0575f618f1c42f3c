"""Words every room uses: settings, errors, ids, clock, money, sealed secrets, safe fetch. Imports nothing of ours."""
