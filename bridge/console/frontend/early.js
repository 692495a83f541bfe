// Says before anything is drawn that scripts run; without it every page works as it stands.
document.body.className += " js-enabled" + ("noModule" in HTMLScriptElement.prototype ? " govuk-frontend-supported" : "");
