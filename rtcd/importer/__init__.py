"""Moving over: configurations of coturn, AppRTC and nginx in, an ini and a list of what was wrong in them out."""
